// Where an axis of time has its ticks.
import type { Granularity } from '../documents';
import { local } from '../format';

/** Ticks from the closest to the widest; each level keeps to what people count by: Mondays, midnights, Januaries. */
export function tickLevels(starts: number[], granularity: Granularity, zone: string): number[][] {
  const fields = starts.map((start) => local(start, zone));
  const where = (keeps: (at: (typeof fields)[number], index: number) => boolean) => fields.flatMap((at, index) => (keeps(at, index) ? [index] : []));
  const every = (step: number) => where((_, index) => index % step === 0);
  const months = [1, 2, 3, 6].map((step) => where(({ day, month }) => day === 1 && (month - 1) % step === 0));
  switch (granularity) {
    case 'HOUR':
      return [
        ...[1, 2, 3, 6, 12].map((step) => where(({ hour }) => hour % step === 0)),
        ...[1, 2, 7].map((step) => where(({ hour, day, weekday }) => hour === 0 && (step === 7 ? weekday === 0 : day % step === 1 || step === 1))),
      ];
    case 'DAY':
      return [every(1), every(2), where(({ weekday }) => weekday === 0), every(14), ...months];
    case 'MONTH':
      return [...months, where(({ month }) => month === 1)];
    default:
      return [1, 2, 4, 8, 13, 26, 52].map(every);
  }
}
