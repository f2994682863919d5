// The map: grids coloured by their worst open event, events as shapes, sensors when one looks closely. No tiles.
import {get} from './api.js';
import {COLOURS, NUMERALS, SHAPES, TEXT_DROP} from './severity.js';
import {now, state, subscribe, update, worstByGrid} from './store.js';
import {Legend} from './legend.js';
import {html, useEffect, useRef, useState} from './ui.js';
import {measure, nameOf, quantityName, t, timeText, wrongClock} from './words.js';

const CALM = {color: '#a3aaaf', weight: 1, fillColor: '#eceeef', fillOpacity: 1};
const OUTLINE = {district: [2.4, '#4b5258'], street: [1.8, '#656c72'], community: [1.2, '#858c92']};
const SENSORS_FROM = 2; // zoom steps beyond the whole city
const SENSOR_LIMIT = 1500;
const RADIUS = 13;
const EDGE = 14; // pixels between the city and the map's border
const BESIDE_TOOLS = 68;

/** An event on the canvas: the severity's shape with its numeral; a ring where it is the chosen one. */
const EventMark = L.CircleMarker.extend({
  _updatePath() {
    const renderer = this._renderer;
    if (!renderer._drawing || this._empty()) return;
    const ctx = renderer._ctx;
    const {x, y} = this._point;
    const {level, chosen, waiting} = this.options;
    const size = RADIUS * (chosen ? 1.25 : 1);
    ctx.save();
    ctx.translate(x, y);
    ctx.beginPath();
    if (SHAPES[level]) SHAPES[level].forEach(([cx, cy], at) => ctx[at ? 'lineTo' : 'moveTo'](cx * size, cy * size));
    else ctx.arc(0, 0, size, 0, 2 * Math.PI);
    ctx.closePath();
    ctx.lineJoin = 'round';
    ctx.strokeStyle = '#fff';
    ctx.lineWidth = chosen ? 9 : 5;
    ctx.stroke();
    ctx.fillStyle = COLOURS[level];
    ctx.fill();
    ctx.strokeStyle = '#16191c';
    ctx.lineWidth = chosen ? 3 : waiting ? 2.2 : 1.2;
    ctx.stroke();
    ctx.fillStyle = '#000';
    ctx.font = `800 ${Math.round(size * 1.08)}px system-ui, sans-serif`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.fillText(NUMERALS[level], 0, TEXT_DROP[level] * size + 1);
    ctx.restore();
  },
});

function tooltip(lines) {
  const box = document.createElement('div');
  for (const [text, kind] of lines) {
    const line = document.createElement('div');
    line.textContent = text;
    if (kind) line.className = kind;
    box.append(line);
  }
  return box;
}

function gridTip(code) {
  const grid = state.grids.get(code);
  return tooltip([
    [nameOf(grid.name), 'strong'],
    [t('ui.map.responsible', {name: nameOf(grid.responsible.name)})],
    ...(grid.open_events ? [[t('ui.map.open_events', {count: grid.open_events})]] : []),
  ]);
}

function sensorTip(sensors) {
  return tooltip([
    [nameOf(sensors[0].place), 'strong'],
    ...sensors.flatMap((sensor) => [
      [`${quantityName(sensor.quantity)}  ${measure(sensor.last_value, sensor.unit)}${sensor.last_at ? `  ${timeText(sensor.last_at, now())}` : ''}`],
      ...(sensor.silent ? [[t('ui.map.silent'), 'strong']] : []),
    ]),
    ...[...new Set(sensors.map(wrongClock).filter(Boolean))].map((text) => [text, 'strong']),
  ]);
}

/** The Leaflet map and what lies on it. */
export class CityMap {
  constructor(place, onSensors) {
    this.onSensors = onSensors;
    this.renderer = L.canvas({padding: 0.3});
    this.map = L.map(place, {
      renderer: this.renderer, preferCanvas: true, zoomControl: false, attributionControl: false, zoomSnap: 0,
      maxZoom: 20, zoomAnimation: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    });
    this.layers = new Map();
    this.marks = new Map();
    this.sensors = L.layerGroup().addTo(this.map);
    this.asked = 0;
    this.map.on('moveend', () => this.showSensors());
  }

  drawShapes(collection) {
    const parents = new Set(collection.features.map((feature) => feature.properties.parent));
    const isLeaf = (feature) => !parents.has(feature.id);
    this.leaves = L.geoJSON(collection, {
      filter: isLeaf, renderer: this.renderer, style: () => CALM,
      onEachFeature: (feature, layer) => {
        this.layers.set(feature.id, layer);
        layer.bindTooltip(() => gridTip(feature.id), {sticky: true, className: 'tip'});
      },
    }).addTo(this.map);
    for (const level of ['community', 'street', 'district']) {
      const [weight, color] = OUTLINE[level];
      L.geoJSON(collection, {
        filter: (feature) => feature.properties.level === level && !isLeaf(feature), interactive: false,
        renderer: this.renderer, style: () => ({weight, color, fill: false}),
      }).addTo(this.map);
    }
    this.bounds = L.geoJSON(collection).getBounds();
    this.map.on('dragstart zoomstart', () => {
      this.isWhole = false;
    });
    this.whole();
    this.wholeZoom = this.map.getZoom();
    this.map.setMaxBounds(this.bounds.pad(0.6));
    this.map.setMinZoom(this.wholeZoom - 1);
  }

  whole() {
    const below = this.map.getContainer().parentElement.querySelector('.legend').offsetHeight + 26;
    const zoom = (right) => this.map.getBoundsZoom(this.bounds, false, L.point(EDGE + right, EDGE + below));
    // Beside the buttons where that costs next to nothing; else the city has the whole width.
    const right = zoom(BESIDE_TOOLS) > zoom(EDGE) - 0.1 ? BESIDE_TOOLS : EDGE;
    this.map.fitBounds(this.bounds, {paddingTopLeft: [EDGE, EDGE], paddingBottomRight: [right, below], animate: false});
    this.isWhole = true;
  }

  /** The map's place has another size: the whole city stays whole, and the chosen event in sight. */
  resized() {
    this.map.invalidateSize({animate: false, pan: false});
    if (this.bounds && this.isWhole) this.whole();
    const chosen = state.selected?.kind === 'event' && state.events.get(state.selected.id);
    if (this.bounds && chosen) this.goTo(chosen);
  }

  colour() {
    const all = worstByGrid();
    for (const [code, layer] of this.layers) {
      const worst = all.get(code) ?? null;
      if (layer.worst === worst) continue;
      layer.worst = worst;
      layer.setStyle(worst ? {...CALM, fillColor: COLOURS[worst], fillOpacity: 0.82, color: '#4b5258', weight: 1.4} : CALM);
    }
  }

  placeEvents(onChoose) {
    const {selected} = state;
    const drawn = [];
    for (const event of state.events.values()) {
      const chosen = Boolean(selected && selected.kind === 'event' && selected.id === event.id);
      const waiting = event.state === 'dispatched';
      const key = `${event.severity}${chosen}${waiting}`;
      let mark = this.marks.get(event.id);
      if (!mark) {
        mark = new EventMark([event.latitude, event.longitude], {renderer: this.renderer, radius: RADIUS});
        mark.on('click', () => onChoose(event.id));
        mark.bindTooltip(() => {
          const one = state.events.get(event.id) || event;
          return tooltip([[t(`category.${one.category}`), 'strong'], [nameOf(one.place)], [nameOf(one.line[0].name)]]);
        }, {className: 'tip', offset: [14, 0]});
        this.marks.set(event.id, mark);
        mark.addTo(this.map);
      }
      if (mark.key !== key) {
        mark.key = key;
        // The radius bounds what is drawn anew, so it holds the widest outline too.
        mark.setStyle({level: event.severity, chosen, waiting, radius: chosen ? 24 : 18});
        drawn.push([chosen, -event.severity, mark]);
      }
    }
    for (const [id, mark] of this.marks) {
      if (!state.events.has(id)) {
        mark.remove();
        this.marks.delete(id);
      }
    }
    // The worst lie on top; the chosen one above all.
    if (drawn.length) [...this.marks.values()].sort((a, b) => b.options.level - a.options.level).forEach((mark) => mark.bringToFront());
    for (const [chosen, , mark] of drawn) if (chosen) mark.bringToFront();
  }

  async showSensors() {
    if (this.wholeZoom === undefined) return;
    const asked = (this.asked += 1);
    if (this.map.getZoom() < this.wholeZoom + SENSORS_FROM) {
      this.sensors.clearLayers();
      this.onSensors(null);
      return;
    }
    const view = this.map.getBounds();
    const clamp = (value, most) => Math.max(-most, Math.min(most, value));
    const page = await get('/sensors', {
      west: clamp(view.getWest(), 180), east: clamp(view.getEast(), 180),
      south: clamp(view.getSouth(), 90), north: clamp(view.getNorth(), 90), limit: SENSOR_LIMIT,
    }).catch(() => null);
    if (!page || asked !== this.asked) return;
    this.sensors.clearLayers();
    for (const sensors of Map.groupBy(page.items, (one) => `${one.longitude},${one.latitude}`).values()) {
      const silent = sensors.some((sensor) => sensor.silent);
      L.circleMarker([sensors[0].latitude, sensors[0].longitude], {
        renderer: this.renderer, radius: silent ? 6 : 4.5, weight: silent ? 2 : 1.2, dashArray: silent ? '3 2.4' : null,
        color: silent ? '#16191c' : '#fff', fillColor: silent ? '#fff' : '#596066', fillOpacity: 1,
      }).bindTooltip(() => sensorTip(sensors), {className: 'tip'}).addTo(this.sensors);
    }
    for (const mark of this.marks.values()) mark.bringToFront();
    this.onSensors({shown: page.items.length, total: page.total});
  }

  goTo(event) {
    if (this.isWhole) return;
    const point = [event.latitude, event.longitude];
    if (!this.map.getBounds().pad(-0.05).contains(point)) this.map.panTo(point);
  }

  end() {
    this.map.remove();
  }
}

export function MapView() {
  const place = useRef(null);
  const city = useRef(null);
  const [shown, setShown] = useState(null);

  useEffect(() => {
    const own = new CityMap(place.current, setShown);
    city.current = own;
    let shapes = null;
    let chosen = null;
    const follow = () => {
      if (state.shapes && state.shapes !== shapes) {
        shapes = state.shapes;
        own.drawShapes(shapes);
      }
      if (!shapes) return;
      own.colour();
      own.placeEvents((id) => update({tab: 'events', selected: {kind: 'event', id}}));
      const id = state.selected?.kind === 'event' ? state.selected.id : null;
      if (id !== chosen && state.events.has(id)) own.goTo(state.events.get(id));
      chosen = id;
    };
    let due = false;
    const stop = subscribe(() => {
      if (due) return;
      due = true;
      setTimeout(() => {
        due = false;
        if (city.current) follow();
      }, 50);
    });
    const fit = new ResizeObserver(() => own.resized());
    fit.observe(place.current);
    follow();
    return () => {
      stop();
      fit.disconnect();
      city.current = null;
      own.end();
    };
  }, []);

  const zoom = (step) => city.current.map.setZoom(city.current.map.getZoom() + step);
  return html`<div class="map-area">
    <div class="map" ref=${place} role="application" aria-label=${t('ui.map.label')}></div>
    <div class="map-tools">
      <button onClick=${() => zoom(1)} aria-label=${t('ui.map.zoom_closer')} title=${t('ui.map.zoom_closer')}>+</button>
      <button onClick=${() => zoom(-1)} aria-label=${t('ui.map.zoom_out')} title=${t('ui.map.zoom_out')}>−</button>
      <button onClick=${() => city.current.whole()} aria-label=${t('ui.map.whole')} title=${t('ui.map.whole')}>⤢</button>
    </div>
    <${Legend} shown=${shown} />
  </div>`;
}
