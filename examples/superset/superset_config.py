"""Settings of a Superset for trying out the reports on this machine. A real one needs other secrets, and HTTPS."""

import os

SECRET_KEY = "only-for-trying-out-on-this-machine"
# Its own users, charts and dashboards.
SQLALCHEMY_DATABASE_URI = f"sqlite:///{os.environ['SUPERSET_HOME']}/superset.db?check_same_thread=false"
# The script that makes the dashboard logs in without a form.
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
