"""The report's style sheet: light and dark, from a phone to a wide screen."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #18212b; --soft: #5a6774; --line: #dde3e9;
  --good: #12704a; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0e141a; --card: #161e26; --ink: #e6ebf0; --soft: #97a5b3; --line: #2a3540;
    --good: #5fd19b; --bad: #ff8a80;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 1240px; margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 2.5rem) 4rem; }
header { margin-bottom: 2.2rem; }
.brand { margin: 0; color: var(--soft); font-size: .9rem; font-weight: 600; }
h1 { margin: .1rem 0 .4rem; font-size: clamp(1.7rem, 5vw, 2.5rem); line-height: 1.15; }
h2 { margin: 2.4rem 0 .5rem; font-size: 1.2rem; }
p { max-width: 70ch; margin: .2rem 0 .9rem; }
.lead { font-size: 1.08rem; }
.note, figcaption { color: var(--soft); font-size: .88rem; }
.good { color: var(--good); }
.bad { color: var(--bad); }
table {
  width: 100%; border-collapse: collapse; background: var(--card);
  border: 1px solid var(--line); font-variant-numeric: tabular-nums; margin-bottom: .8rem;
}
th, td { padding: .6rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; vertical-align: bottom; }
td { white-space: nowrap; }
td.refused { text-align: left; white-space: normal; color: var(--soft); }
.gallery {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr));
}
figure { margin: 0; background: var(--card); border: 1px solid var(--line); }
img { display: block; width: 100%; height: auto; background: #000; }
figcaption { padding: .5rem .7rem; }
pre {
  background: var(--card); border: 1px solid var(--line); padding: .8rem 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
  font: .84rem/1.7 ui-monospace, Menlo, Consolas, monospace;
}
.timeline {
  display: block; width: 100%; height: auto; background: var(--card);
  border: 1px solid var(--line); margin-bottom: .8rem;
}
.timeline text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.timeline line { stroke: var(--line); }
.timeline .arrived { fill: var(--good); }
.timeline .lost { fill: var(--bad); }
.timeline .outage { fill: var(--line); opacity: .7; }
@media (max-width: 820px) {
  thead { position: absolute; left: -9999px; }
  table, tbody, tr, th, td { display: block; }
  tr { border-bottom: 1px solid var(--line); padding: .5rem 0; }
  th, td { border: 0; padding: .25rem .9rem; }
  tbody th { font-size: 1.05rem; }
  td[data-label] { display: flex; justify-content: space-between; gap: 1rem; }
  td[data-label]::before { content: attr(data-label); color: var(--soft); }
}
"""
