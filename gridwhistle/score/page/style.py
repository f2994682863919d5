"""How the page looks: light, for a screen and for paper."""

CSS = """
:root { --ink: #16191c; --soft: #565e65; --line: #d5d9dc; --pale: #f4f5f5; --good: #2d6a4f; --bad: #c00026;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei",
    "Source Han Sans SC", "Noto Sans CJK SC", "WenQuanYi Micro Hei", sans-serif; }
* { box-sizing: border-box; }
html { background: #e9ebec; color: var(--ink); -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 1256px; padding: 28px 20px 60px; font: 400 16px/1.55 var(--font);
  font-variant-numeric: tabular-nums; }
h1, h2, p, figure, dl, dd, ul { margin: 0; padding: 0; }
h1 { font-size: 28px; line-height: 1.25; letter-spacing: -.01em; }
h2 { font-size: 20px; margin-bottom: 12px; }
h3 { font-size: 16px; margin: 22px 0 6px; }
header { margin: 4px 4px 20px; display: grid; gap: 4px; }
header p { color: var(--soft); }
section { background: #fff; border: 1px solid var(--line); border-radius: 14px; padding: 22px 24px 24px;
  margin-top: 18px; }
.help { color: var(--soft); font-size: 14.5px; margin-top: 10px; max-width: 78em; }
.verdict { font-size: 18px; font-weight: 650; }
.verdict::before { content: ""; display: inline-block; width: 12px; height: 12px; border-radius: 50%;
  margin-right: 10px;
  border: 2.5px solid currentColor; }
.verdict.good { color: var(--good); } .verdict.good::before { background: currentColor; }
.verdict.bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; margin-top: 16px; }
.tile { background: var(--pale); border-radius: 10px; padding: 14px 16px 12px; display: flex;
  flex-direction: column; }
.tile dt { color: var(--soft); font-size: 14.5px; line-height: 1.35; }
.tile dd { font-size: 27px; font-weight: 680; line-height: 1.3; letter-spacing: -.01em; }
.tile dd small { font-size: 15px; font-weight: 400; color: var(--soft); letter-spacing: 0; }
.tile dd.beside { font-size: 14px; font-weight: 400; color: var(--soft); letter-spacing: 0; line-height: 1.45; }
.tile.bad > dd:first-of-type { color: var(--bad); }
svg { display: block; width: 100%; height: auto; font-family: var(--font); font-variant-numeric: tabular-nums; }
svg .rule { stroke: #e3e6e8; stroke-width: 1; }
svg .tick { fill: #6a7178; font-size: 12px; }
svg .label { font-size: 13px; }
svg .label:not([fill]) { fill: #23272b; }
svg .numeral { font-weight: 800; }
svg .halo { paint-order: stroke; stroke: #fff; stroke-width: 3.2px; stroke-linejoin: round; }
svg .halo:not([fill]) { fill: #23272b; }
.keys { display: flex; flex-wrap: wrap; gap: 6px 22px; margin-top: 12px; font-size: 14.5px; color: #32383d;
  list-style: none; }
.keys li { display: flex; align-items: center; gap: 7px; }
.keys svg { width: 22px; height: 22px; flex: none; }
.curves { display: grid; grid-template-columns: 1fr 1fr; gap: 20px 22px; }
.curve { border-top: 2px solid #23272b; padding-top: 8px; min-width: 0; break-inside: avoid; }
.curve figcaption { display: grid; grid-template-columns: 1fr auto; gap: 0 14px; font-size: 13.5px;
  color: var(--soft); margin-bottom: 4px; line-height: 1.45; }
.curve .what { color: var(--ink); font-size: 16px; } .curve .told { order: 2; text-align: right;
  white-space: nowrap; }
.curve figcaption span:nth-child(2) { order: 3; grid-column: 1 / -1; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; }
.nobody { color: var(--bad); font-weight: 600; }
.no { display: inline-block; min-width: 22px; padding: 0 6px; border-radius: 11px; background: #23272b;
  color: #fff; font-size: 13px;
  line-height: 22px; text-align: center; font-weight: 700; }
table { border-collapse: collapse; width: 100%; font-size: 15px; line-height: 1.45; }
.scroll { overflow-x: auto; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 14px; border-bottom: 1.5px solid #9aa1a7;
  padding: 6px 10px 6px 0; vertical-align: bottom; }
td { border-bottom: 1px solid #e5e8ea; padding: 7px 10px 7px 0; vertical-align: top; }
th.n, td.n { text-align: right; padding-right: 0; padding-left: 12px; }
th.n + th:not(.n), td.n + td:not(.n) { padding-left: 24px; }
tbody th { color: var(--ink); font-size: 15px; border-bottom: 1px solid #e5e8ea; vertical-align: top; }
.confusion td.n { font-size: 21px; font-weight: 650; padding: 10px 16px; border: 3px solid #fff;
  background: var(--pale); border-radius: 8px; }
.confusion td.right { background: #dcefe4; } .confusion td.wrong { background: #fbdfe2; color: var(--bad); }
.confusion td.zero { color: #a9afb4; background: var(--pale); font-weight: 400; }
.confusion th { border: 0; } .confusion thead th { text-align: right; padding: 4px 16px; }
.confusion thead th:first-child { text-align: left; padding-left: 0; }
.soft { color: var(--soft); } .code { white-space: nowrap; }
.outcome { font-weight: 650; white-space: nowrap; } .outcome.right { color: var(--good); font-weight: 500; }
.outcome.missed, .outcome.mistaken { color: var(--bad); } .outcome.not_shown { color: var(--soft); font-weight: 400; }
.two > *, .stack > * { min-width: 0; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 26px; align-items: start; }
.stack > * + * { margin-top: 18px; }
@media (max-width: 900px) { .tiles, .curves, .two { grid-template-columns: 1fr 1fr; } .curves,
  .two { grid-template-columns: 1fr; } }
@media (max-width: 520px) { .curve figcaption { grid-template-columns: minmax(0, 1fr); }
  .curve .told { text-align: left; white-space: normal; }
  .tiles { grid-template-columns: 1fr; } section { padding: 16px 14px; } }
@media print {
  html { background: #fff; } body { max-width: none; padding: 0; font-size: 11pt; }
  section { border: 0; padding: 8px 0 14px; border-radius: 0; } * { print-color-adjust: exact;
  -webkit-print-color-adjust: exact; }
  h2 { break-after: avoid; } tr, .tile, .curve { break-inside: avoid; } .map, .timeline { max-height: 92vh; }
}
"""
