"""The gateway beside real parts of other makers, which are installed and started here."""
