// Times as a person reads them, in their language and time zone.

import { locale, t } from "./i18n.js";

const DAY = 86_400_000;
const made = new Map();

function formatter(name, make) {
  const key = `${locale()} ${name}`;
  if (!made.has(key)) made.set(key, make(locale()));
  return made.get(key);
}

const formatted = (name, options, date) =>
  formatter(name, (spoken) => new Intl.DateTimeFormat(spoken, options)).format(date);
const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
const daysAgo = (date) => Math.round((midnight(new Date()) - midnight(date)) / DAY);
const capital = (text) => text.charAt(0).toLocaleUpperCase(locale()) + text.slice(1);

/** 14:05 */
export const clock = (time) => formatted("clock", { hour: "numeric", minute: "2-digit" }, new Date(time));

/** Everything, to the second. */
export const exact = (time) => formatted("exact", { dateStyle: "full", timeStyle: "medium" }, new Date(time));

/** The day and the hour. */
export const moment = (time) => formatted("moment", { dateStyle: "medium", timeStyle: "short" }, new Date(time));

/** Which day a time is of, to compare. */
export const dayOf = (time) => midnight(new Date(time));

/** The heading of a day: Today, Yesterday, Monday, 3 May 2026. */
export function dayName(time) {
  const date = new Date(time);
  const days = daysAgo(date);
  if (days === 0 || days === 1) {
    return capital(formatter("day", (spoken) => new Intl.RelativeTimeFormat(spoken, { numeric: "auto" })).format(-days, "day"));
  }
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return capital(formatted(`date${year}`, { weekday: "long", day: "numeric", month: "long", year }, date));
}

/** For a list: the hour today, the weekday this week, else the date. */
export function brief(time) {
  const date = new Date(time);
  const days = daysAgo(date);
  if (days === 0) return clock(time);
  if (days > 0 && days < 7) return formatted("weekday", { weekday: "short" }, date);
  return formatted("short", { day: "numeric", month: "numeric", year: "2-digit" }, date);
}

/** How long ago: a moment ago, 5 minutes ago, yesterday. */
export function ago(time) {
  const seconds = Math.round((Date.now() - new Date(time).getTime()) / 1000);
  if (seconds < 60) return t("time.now");
  const relative = formatter("ago", (spoken) => new Intl.RelativeTimeFormat(spoken, { numeric: "auto" }));
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), "hour");
  const days = daysAgo(new Date(time));
  return days < 30 ? relative.format(-days, "day") : moment(time);
}

/** A length of time, in the largest unit that is whole. */
export function span(ms) {
  const [count, unit] = ms % DAY === 0 ? [ms / DAY, "day"] : [Math.round(ms / 3_600_000), "hour"];
  return formatter(`span ${unit}`, (spoken) => new Intl.NumberFormat(spoken, { style: "unit", unit, unitDisplay: "long" })).format(count);
}
