// The readings around an alarm, with the range that was expected and the reading that made it as grave as it got.
import {get} from './api.js';
import {COLOURS} from './severity.js';
import {now} from './store.js';
import {html, useEffect, useRef, useState} from './ui.js';
import {judgedBy, nameOf, number, problemText, quantityName, t, timeZone, wrongClock} from './words.js';

const INK = '#23272b';
const SOFT = '#5b6268';
const POINTS = 600;
const HEIGHT = 154;
const SOON_MS = 1000; // the store follows the alarm: what is not there yet is asked for again, less and less often,
const SELDOM_MS = 30000; // and as often as this where the alarm stands and its readings go on

/** From well before the first suspicious reading until now, or some time after the alarm was over. */
function windowOf(alarm, interval) {
  const began = Date.parse(alarm.since);
  const worst = Date.parse(alarm.decided_by_reading_at);
  const cleared = alarm.cleared_at === null ? 0 : Date.parse(alarm.cleared_at);
  const latest = Math.max(now(), worst + interval * 1000, cleared); // a device's clock may be ahead of ours
  const over = cleared ? Math.max(cleared, worst) : latest;
  const before = Math.max(20 * 60e3, 60 * interval * 1000, (over - began) / 4);
  const after = Math.max(5 * 60e3, 15 * interval * 1000, (over - began) / 4);
  return [began - before, Math.min(over + after, latest) + 1000];
}

function drawExpected(chart, alarm) {
  const {ctx, bbox: {left, top, width, height}} = chart;
  const edge = (value, fallback) => (value === null ? fallback : chart.valToPos(value, 'y', true));
  const bounds = judgedBy(alarm);
  if (bounds.high === null && bounds.low === null) return;
  const high = Math.max(top, edge(bounds.high, top));
  const low = Math.min(top + height, edge(bounds.low, top + height));
  ctx.save();
  ctx.fillStyle = '#dfe3e6';
  ctx.fillRect(left, high, width, Math.max(0, low - high));
  ctx.strokeStyle = SOFT;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  for (const [bound, y] of [[bounds.high, high], [bounds.low, low]]) {
    if (bound === null) continue;
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function drawMoment(chart, alarm, level) {
  const {ctx, bbox: {left, top, width, height}} = chart;
  const x = chart.valToPos(Date.parse(alarm.decided_by_reading_at) / 1000, 'x', true);
  if (x < left || x > left + width) return;
  ctx.save();
  ctx.strokeStyle = INK;
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  if (alarm.value !== null) {
    ctx.fillStyle = level ? COLOURS[level] : '#f4f5f5';
    ctx.beginPath();
    ctx.arc(x, chart.valToPos(alarm.value, 'y', true), 6 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.stroke();
  }
  ctx.restore();
}

function yRange(alarm) {
  return (_, low, high) => {
    const marks = [...Object.values(judgedBy(alarm)), alarm.value, low, high]
      .filter((value) => value !== null && Number.isFinite(value));
    const bottom = Math.min(...marks);
    const top = Math.max(...marks);
    const air = (top - bottom || Math.abs(top) || 1) * 0.1;
    return [bottom - air, top + air];
  };
}

function options(alarm, level, width, until) {
  const axis = {stroke: SOFT, font: '13px system-ui, sans-serif', grid: {stroke: '#d3d7da', width: 1}, ticks: {show: false}};
  return {
    width, height: HEIGHT, padding: [8, 14, 0, 0],
    legend: {show: false},
    cursor: {drag: {x: false, y: false}, points: {size: 6}},
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), timeZone()),
    // Up to the end of what was asked for, so that a sensor that fell silent is seen to have done so.
    scales: {x: {range: (_, first) => [first, until]}, y: {range: yRange(alarm)}},
    axes: [
      {...axis, size: 30, space: 64, values: [
        [86400, '{M}/{D}', null, null, null, null, null, null, 1],
        [3600, '{HH}:{mm}', null, null, '{M}/{D}', null, null, null, 1],
        [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
        [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
      ]},
      {...axis, size: 54, space: 36, values: (_, ticks) => ticks.map(number)},
    ],
    series: [
      {},
      {stroke: INK, width: 1.6, points: {size: 4, fill: INK}},
      {stroke: 'transparent', points: {show: false}},
      {stroke: 'transparent', points: {show: false}},
    ],
    bands: [{series: [3, 2], fill: 'rgba(35, 39, 43, 0.18)'}],
    hooks: {
      drawClear: [(chart) => drawExpected(chart, alarm)],
      draw: [(chart) => drawMoment(chart, alarm, level)],
    },
  };
}

async function read(alarm) {
  const path = `/sensors/${alarm.sensor.split('/').map(encodeURIComponent).join('/')}`;
  const sensor = await get(path);
  const [from, to] = windowOf(alarm, sensor.interval_seconds);
  const series = await get(`${path}/readings`, {
    from: new Date(from).toISOString(), to: new Date(to).toISOString(), max_points: POINTS,
  });
  const at = series.at.map((moment) => Date.parse(moment) / 1000);
  const grain = (to - from) / POINTS; // a point may stand for as much
  return {
    clock: wrongClock(sensor), until: to / 1000, columns: [at, series.value, series.low, series.high],
    complete: at.length > 0 && at[at.length - 1] * 1000 >= Date.parse(alarm.decided_by_reading_at) - grain,
  };
}

/** Tell `found` (or `failed`) of the readings, and again as they come in. Gives the function that ends it. */
function follow(alarm, found, failed) {
  let waiting = 0;
  let pause = SOON_MS / 2;
  let wanted = true;
  const again = (complete) => {
    if (complete && alarm.cleared_at !== null) return;
    pause = complete ? SELDOM_MS : Math.min(2 * pause, SELDOM_MS);
    waiting = setTimeout(look, pause);
  };
  const look = () => read(alarm).then(
    (data) => wanted && (found(data), again(data.complete)),
    (error) => wanted && (failed(error), again(false)),
  );
  look();
  return () => {
    wanted = false;
    clearTimeout(waiting);
  };
}

export function Chart({alarm, level}) {
  const place = useRef(null);
  const [data, setData] = useState(null);
  const [problem, setProblem] = useState('');
  useEffect(() => follow(alarm, (found) => {
    setData(found);
    setProblem('');
  }, (error) => setProblem(problemText(error))), [alarm.id, alarm.decided_by_reading_at, alarm.cleared_at]);
  useEffect(() => {
    if (!data || data.columns[0].length === 0) return undefined;
    const chart = new uPlot(options(alarm, level, place.current.clientWidth, data.until), data.columns, place.current);
    const fit = new ResizeObserver(() => chart.setSize({width: place.current.clientWidth, height: HEIGHT}));
    fit.observe(place.current);
    return () => {
      fit.disconnect();
      chart.destroy();
    };
  }, [data, level]);

  const quantity = quantityName(alarm.quantity);
  const empty = (!data && problem) || (data && data.columns[0].length === 0 ? t('ui.detail.no_readings') : '');
  return html`<figure class="chart">
    <figcaption><span>${t('ui.detail.chart', {quantity})}${alarm.unit !== '1' ? ` (${alarm.unit})` : ''}</span>
      <span class="keys"><span class="key"><i class="band"></i>${t('ui.detail.band')}</span>
        <span class="key"><i class="moment"></i>${t('ui.detail.moment')}</span></span></figcaption>
    <div ref=${place} role="img" data-points=${data ? data.columns[0].length : ''}
      aria-label=${t('ui.detail.chart_label', {quantity, place: nameOf(alarm.place), unit: alarm.unit})}></div>
    ${empty && html`<p class="empty">${empty}</p>`}
    ${data && data.clock && html`<p class="clock"><strong>${data.clock}</strong></p>`}
  </figure>`;
}
