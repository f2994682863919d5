// Texts in the chosen language, and how times, spans and numbers are written.
import {get} from './api.js';

const CLOCK_OFF_S = 120;
const KEPT = 'gridwhistle.language';
let table = {};
let language = 'zh';
let zone;
let formats = {};

export const currentLanguage = () => language;
export const timeZone = () => zone;

/** Load a language; without one, the kept choice, else the daemon's first language. */
export async function speak(wanted) {
  let answer = await get(`/texts/${wanted || localStorage.getItem(KEPT) || 'zh'}`);
  if (!wanted && !localStorage.getItem(KEPT) && answer.first_language !== answer.language) {
    answer = await get(`/texts/${answer.first_language}`);
  }
  if (wanted) localStorage.setItem(KEPT, wanted);
  table = answer.texts;
  language = answer.language;
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.title = t('ui.title');
  prepareFormats();
}

/** The city's time zone, in which every time is shown. */
export function useZone(name) {
  if (name === zone) return;
  zone = name;
  prepareFormats();
}

function prepareFormats() {
  const locale = language === 'zh' ? 'zh-CN' : 'en-GB';
  const time = {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: zone};
  formats = {
    time: new Intl.DateTimeFormat(locale, time),
    full: new Intl.DateTimeFormat(locale, {month: 'short', day: 'numeric', ...time, second: undefined}),
    day: new Intl.DateTimeFormat('en-CA', {timeZone: zone}),
    clock: new Intl.DateTimeFormat(locale, {year: 'numeric', month: 'short', day: 'numeric', weekday: 'short', ...time}),
    number: new Intl.NumberFormat(locale, {maximumSignificantDigits: 4}),
  };
}

export function t(key, params) {
  const text = table[key];
  if (text === undefined) return key.split('.').pop();
  return text.replace(/\{(\w+)\}/g, (whole, name) => (params && name in params ? params[name] : whole));
}

export const knows = (key) => key in table;
export const nameOf = (names) => names[language];
export const quantityName = (quantity) => (knows(`quantity.${quantity}`) ? t(`quantity.${quantity}`) : quantity);
export const clockText = (ms) => formats.clock.format(ms);
export const number = (value) => formats.number.format(value);

/** A time of day; with its date where it is not the day of `now`. */
export function timeText(iso, now) {
  const at = Date.parse(iso);
  const sameDay = formats.day.format(at) === formats.day.format(now);
  return (sameDay ? formats.time : formats.full).format(at);
}

export function measure(value, unit) {
  if (value === null) return '–';
  return unit && unit !== '1' ? `${number(value)} ${unit}` : number(value);
}

/** The range an alarm was judged by: a limit has one side only, however low the quantity could possibly be. */
export const judgedBy = ({condition, expected_low: low, expected_high: high}) => ({
  low: condition === 'high' ? null : low,
  high: condition === 'low' ? null : high,
});

/** How long, in the one unit that matters. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t('ui.span.seconds', {n: seconds});
  if (seconds < 3600) return t('ui.span.minutes', {n: Math.floor(seconds / 60)});
  if (seconds < 2 * 86400) return t('ui.span.hours', {n: Math.floor(seconds / 3600)});
  return t('ui.span.days', {n: Math.floor(seconds / 86400)});
}

/** In words, where the clock of a sensor's device is as far off as a reading may be ahead; else nothing. */
export function wrongClock({clock_offset_seconds: behind}) {
  if (behind === null || Math.abs(behind) < CLOCK_OFF_S) return '';
  return t(behind > 0 ? 'ui.map.clock_behind' : 'ui.map.clock_ahead', {span: span(Math.abs(behind) * 1000)});
}

/** What went wrong, in words: the daemon's own where it has some, else the page's. */
export function problemText(problem) {
  if (problem.text) return nameOf(problem.text);
  const key = `ui.problem.${problem.reason}`;
  return knows(key) ? t(key) : problem.message || problem.reason;
}
