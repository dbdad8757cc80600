// What the gateway says of the space, in the page itself.
import type { TimeBasis } from './documents';

const { capacity: desks, zone: place, basis: counted } = document.documentElement.dataset;

/** How many desks it has; 0 where that is not known. */
export const capacity = Number(desks ?? 0);
/** Where it is, as the name of a time zone; empty where that is not known. */
export const zone = place ?? '';
/** When a visit counts there. */
export const basis: TimeBasis = counted === 'ISSUED_AT' ? 'ISSUED_AT' : 'USED_AT';
