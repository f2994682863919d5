// Preact, its hooks and htm, bound together once.
import {h, render} from '../vendor/preact-10.29.8.js';
import htm from '../vendor/htm-3.1.1.js';

export {useEffect, useLayoutEffect, useMemo, useRef, useState} from '../vendor/preact-hooks-10.29.8.js';
export const html = htm.bind(h);
export {render};

/** For `ref`: the element gets the keyboard as soon as it stands. */
export const focused = (element) => element && !element.contains(document.activeElement) && element.focus();
