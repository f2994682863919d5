// The four levels: colour, Roman numeral and shape, so that no level depends on colour alone.
import {html} from './ui.js';
import {t} from './words.js';

export const COLOURS = {1: '#e0002d', 2: '#ff9a1f', 3: '#ffe680', 4: '#3a86d8'};
const NAMES = {1: 'extreme', 2: 'major', 3: 'larger', 4: 'general'};
export const NUMERALS = {1: 'I', 2: 'II', 3: 'III', 4: 'IV'};

// Corners in a square from -1 to 1; level 4 is a circle. They are drawn on the map's canvas and as SVG alike.
export const SHAPES = {
  1: [[0, -1.12], [1.12, 0], [0, 1.12], [-1.12, 0]],
  2: [[0, -1.12], [1.15, 0.86], [-1.15, 0.86]],
  3: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]],
};
export const TEXT_DROP = {1: 0, 2: 0.28, 3: 0, 4: 0};

export const severityName = (level) => t(`severity.${NAMES[level]}`);
export const severityText = (level) =>
  t('ui.severity_level', {numeral: NUMERALS[level], name: severityName(level)});

export function Badge({level, hollow}) {
  const fill = hollow ? 'none' : COLOURS[level];
  const corners = SHAPES[level];
  const shape = corners
    ? html`<polygon points=${corners.map(([x, y]) => `${20 + x * 15.5},${20 + y * 15.5}`).join(' ')} />`
    : html`<circle cx="20" cy="20" r="15.5" />`;
  return html`<svg class="badge" viewBox="0 0 40 40" role="img" aria-label=${severityText(level)}>
    <g fill=${fill} stroke="#23272b" stroke-width="1.6" stroke-linejoin="round">${shape}</g>
    <text x="20" y=${20 + TEXT_DROP[level] * 15.5} dy="0.36em" text-anchor="middle">${NUMERALS[level]}</text>
  </svg>`;
}
