"""One HTML page without anything from elsewhere, made of elements whose text is always escaped."""

from html import escape

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ground:#f4f5f7;--ink:#1b2330;--soft:#556070;--line:#dfe3e8;
--stop:#b3261e;--stop-bg:#fdecea;--ask:#8a4b00;--ask-bg:#fff3e0;--warn:#8a6100;--warn-bg:#fff8e1;
--note:#2f5d8a;--note-bg:#eaf2fa;--good:#1f6f43;--good-bg:#e6f4ec}
@media (prefers-color-scheme:dark){:root{--paper:#1a2029;--ground:#11151b;--ink:#e7ebf0;--soft:#9ba7b6;--line:#303947;
--stop:#ff9a92;--stop-bg:#3a1d1c;--ask:#ffbd76;--ask-bg:#36260f;--warn:#f3cd6b;--warn-bg:#322a12;
--note:#93c2f0;--note-bg:#1a2a3b;--good:#82d5a6;--good-bg:#15301f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
main{max-width:68rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1,h2,h3,p,ul{margin:0}
h1{font-size:clamp(1.5rem,4vw,2.1rem);line-height:1.2;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.15rem;line-height:1.3}
h3{font-size:1rem;line-height:1.4;display:flex;flex-wrap:wrap;gap:.25rem .6rem;align-items:baseline}
p,td,th,li{overflow-wrap:anywhere}
.over{color:var(--soft);font-size:.85rem;letter-spacing:.06em;text-transform:uppercase}
.made{color:var(--soft);font-size:.9rem;margin-top:.9rem}
.verdict{display:inline-block;margin-top:1rem;padding:.55rem .9rem;border-radius:.5rem;font-weight:600}
.verdict.good{color:var(--good);background:var(--good-bg)}
.verdict.stop{color:var(--stop);background:var(--stop-bg)}
.verdict::before{content:"\\2713\\00a0\\00a0"}
.verdict.stop::before{content:"\\2715\\00a0\\00a0"}
.counts,.clean{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.4rem .5rem;margin-top:1rem}
.counts li,.clean li{border-radius:1rem;padding:.15rem .75rem;font-size:.9rem;background:var(--good-bg);
color:var(--good)}
.counts .stop{background:var(--stop-bg);color:var(--stop)}
.counts .ask{background:var(--ask-bg);color:var(--ask)}
.counts .warn{background:var(--warn-bg);color:var(--warn)}
.counts .note{background:var(--note-bg);color:var(--note)}
section{margin-top:2.25rem}
article{background:var(--paper);border:1px solid var(--line);border-left:.3rem solid var(--note);border-radius:.5rem;
padding:.9rem 1.1rem;margin-top:.75rem}
article p{margin-top:.45rem;max-width:75ch}
article.stop{border-left-color:var(--stop)}
article.ask{border-left-color:var(--ask)}
article.warn{border-left-color:var(--warn)}
.severity{font-size:.72rem;font-weight:700;letter-spacing:.05em;text-transform:uppercase;border-radius:.3rem;
padding:.1rem .45rem;color:var(--note);background:var(--note-bg)}
.stop .severity{color:var(--stop);background:var(--stop-bg)}
.ask .severity{color:var(--ask);background:var(--ask-bg)}
.warn .severity{color:var(--warn);background:var(--warn-bg)}
.id{margin-left:auto;color:var(--soft);font:.8rem ui-monospace,SFMono-Regular,Consolas,monospace}
.remedy{border-top:1px solid var(--line);margin-top:.7rem;padding-top:.55rem}
.remedy b{color:var(--soft);font-size:.75rem;font-weight:600;letter-spacing:.05em;text-transform:uppercase}
.remedy p{margin-top:.1rem}
pre{margin:.5rem 0 0;padding:.5rem .75rem;border-radius:.35rem;background:var(--ground);white-space:pre-wrap;
overflow-wrap:anywhere}
pre code{display:block;padding-left:1.5em;text-indent:-1.5em;
font:.82rem/1.6 ui-monospace,SFMono-Regular,Consolas,monospace}
td pre code{font-size:.75rem}
table{width:100%;border-collapse:separate;border-spacing:0;background:var(--paper);border:1px solid var(--line);
border-radius:.5rem;font-size:.875rem}
caption{text-align:left;margin-bottom:.75rem}
th,td{text-align:left;vertical-align:top;padding:.55rem .7rem;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600;border-left:.25rem solid var(--line);min-width:15rem}
td[data-label="Next step"]{width:36%}
tbody small{display:block;color:var(--soft);font:.72rem ui-monospace,SFMono-Regular,Consolas,monospace}
td[data-label="Ends"]{white-space:nowrap}
tbody tr.good th{border-left-color:var(--good)}
tbody tr.bad th{border-left-color:var(--warn)}
@media (max-width:50rem){
main{padding:1.25rem .9rem 3rem}
table,tbody,tr,th,td{display:block}
table{background:none;border:0}
caption{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;margin-bottom:.6rem;
padding:.5rem 0;overflow:hidden}
tbody th,td,td[data-label="Next step"]{width:auto;border-top:0;padding:.2rem .8rem}
td:not([data-label="Next step"]){display:grid;grid-template-columns:8rem 1fr}
td::before{content:attr(data-label);color:var(--soft);font-size:.8rem}
td.empty:not([data-label=""]){display:none}
.id{margin-left:0}}
@media print{
:root{--paper:#fff;--ground:#fff;--ink:#000;--soft:#444;--line:#bbb}
body{font-size:10pt}
main{max-width:none;padding:0}
article,tr{break-inside:avoid}
h2,caption{break-after:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


class Html(str):
    """Text that is markup already; every other text is escaped when it becomes part of an element."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element. Attributes are written with _ for -, and class_ for class; empty ones are left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items() if value
    )
    inner = "".join(child if isinstance(child, Html) else escape(child) for child in children)
    return Html(f"<{name}{written}>{inner}</{name}>")


def page(title: str, body: Html) -> str:
    """A whole page, which may load nothing: even a browser that is told otherwise does not."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'
