/** The storefront's whole style: no external assets, light and dark. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #16191f; --muted: #545b64; --page: #f4f6f8; --card: #fff; --line: #d5dbdb;
  --accent: #0b5cad; --accent-ink: #fff; --good: #14661c; --good-bg: #e4f5e6; --wait: #7a4b00; --wait-bg: #fdf1d7;
  --bad: #a3160b; --bad-bg: #fdeae8; --idle-bg: #e9ebed; --bar: #101b2b; --bar-ink: #f2f5f8; --bar-muted: #aebccd; }
@media (prefers-color-scheme: dark) { :root { --ink: #e9edf2; --muted: #a9b4c0; --page: #0e141c; --card: #18212d;
  --line: #334155; --accent: #7cb8ff; --accent-ink: #0b1724; --good: #8fe09a; --good-bg: #12351a; --wait: #f5cf7f;
  --wait-bg: #3d2d0b; --bad: #ffa69d; --bad-bg: #45160f; --idle-bg: #2a3543; --bar: #070b11; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; }
.bar { background: var(--bar); color: var(--bar-ink); }
.bar-in { max-width: 70rem; margin: 0 auto; padding: .8rem 1.25rem; display: flex; flex-wrap: wrap; gap: .6rem 1.5rem; align-items: center; }
.brand { font-weight: 700; font-size: 1.1rem; color: inherit; text-decoration: none; }
.brand small { display: block; font-weight: 400; font-size: .8rem; color: var(--bar-muted); }
nav { display: flex; gap: .25rem; } nav a { color: var(--bar-ink); text-decoration: none; padding: .35rem .8rem; border-radius: 99px; }
nav a:hover { background: #ffffff1a; } nav a[aria-current] { background: #ffffff26; font-weight: 600; }
.clock { margin-left: auto; display: flex; gap: .75rem; align-items: center; font-variant-numeric: tabular-nums; }
.clock span { color: var(--bar-muted); font-size: .85rem; } .clock time { display: block; color: var(--bar-ink); font-size: 1rem; }
main { max-width: 70rem; margin: 0 auto; padding: 1.75rem 1.25rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .9rem; } .card h2 { font-size: 1.1rem; margin: 0; }
.lead { color: var(--muted); margin: 0 0 1.5rem; max-width: 46rem; }
.grid { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(19.5rem, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.35rem; display: flex; flex-direction: column; gap: .85rem; }
.card p { margin: 0; color: var(--muted); } .card form { margin-top: auto; }
.tags { display: flex; flex-wrap: wrap; gap: .4rem; }
.tag, .state { font-size: .78rem; font-weight: 600; padding: .12rem .6rem; border-radius: 99px; background: var(--idle-bg); white-space: nowrap; }
.state-good { color: var(--good); background: var(--good-bg); } .state-wait { color: var(--wait); background: var(--wait-bg); } .state-bad { color: var(--bad); background: var(--bad-bg); }
dl.prices { margin: 0; display: grid; grid-template-columns: 1fr auto; gap: .3rem 1rem; border-top: 1px solid var(--line); padding-top: .8rem; }
dl.prices dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; } dl.prices small { color: var(--muted); }
.fields { display: grid; gap: .6rem; margin-bottom: .85rem; } label { font-size: .85rem; font-weight: 600; display: grid; gap: .2rem; }
label.check { grid-template-columns: auto 1fr; align-items: center; gap: .5rem; font-weight: 400; }
summary { font-size: .85rem; font-weight: 600; cursor: pointer; } details .fields { margin: .6rem 0 0; }
.asks { border-color: var(--wait); margin-bottom: 1.5rem; } form.inline { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; } form.card { max-width: 26rem; } form.card .fields { margin: 0; }
input[type=text], input[type=number], select { font: inherit; font-weight: 400; padding: .45rem .6rem; border: 1px solid #7d8998; border-radius: 8px; background: var(--page); color: var(--ink); width: 100%; }
button { font: inherit; font-weight: 600; padding: .5rem 1.1rem; border-radius: 99px; border: 1px solid var(--accent); background: var(--accent); color: var(--accent-ink); cursor: pointer; }
button:hover { filter: brightness(1.12); } button.wide { width: 100%; }
button.quiet { background: transparent; color: var(--accent); } button.danger { background: transparent; color: var(--bad); border-color: var(--bad); }
.bar button { background: #ffffff1a; color: var(--bar-ink); border-color: #ffffff66; padding: .35rem .9rem; }
.table { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 14px; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .65rem 1rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: middle; }
tbody:last-child tr:last-child > *, tfoot tr > * { border-bottom: 0; } td, time { white-space: nowrap; } th { font-size: .8rem; color: var(--muted); font-weight: 600; white-space: nowrap; }
.num { text-align: right; font-variant-numeric: tabular-nums; } tfoot td, tfoot th { font-weight: 700; font-size: 1rem; color: var(--ink); }
.empty { background: var(--card); border: 1px dashed var(--line); border-radius: 14px; padding: 1.5rem; color: var(--muted); }
.facts { margin: 0; display: grid; grid-template-columns: max-content 1fr; gap: .45rem 1.5rem; } .facts dt { color: var(--muted); } .facts dd { margin: 0; overflow-wrap: anywhere; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; align-items: center; } .actions form { margin: 0; }
.note { color: var(--muted); font-size: .9rem; margin: .9rem 0 0; }
@media (max-width: 40rem) { .clock { margin-left: 0; } .facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: .6rem; } }
`
