// What the map's colours and shapes mean.
import {Badge, severityName} from './severity.js';
import {html} from './ui.js';
import {t} from './words.js';

export function Legend({shown}) {
  return html`<aside class="legend" aria-label=${t('ui.map.legend')} title=${t('ui.map.help')}>
    <ul>${[1, 2, 3, 4].map((level) => html`<li><${Badge} level=${level} />${severityName(level)}</li>`)}
      <li><i class="calm"></i>${t('ui.map.calm')}</li>
      ${shown && html`<li><i class="dot"></i>${t('ui.map.sensor')}</li><li><i class="dot silent"></i>${t('ui.map.silent')}</li>`}
    </ul>
    <p>${shown ? t('ui.map.sensors_shown', shown) : t('ui.map.zoom_in')}</p>
  </aside>`;
}
