"`make run`: executes all notebooks; leaves their pages and one front page in _report/; prints the table of models."
import html, numbers, re, sys, tempfile
from pathlib import Path
import nbformat, pandas as pd
from filelock import Timeout
from nbdev.serve_drv import exec_nb
import gallery
from badges import is_badge
from execute import chosen, each, prepare
from galaxy_nbdev.files import lock, replacing, write_text
from notebooks import NBS, REPORT, ROOT, Stopped, read, title
from pages import Quickly, as_html, emptied, front_matter, markdown, others

STYLE = f'<style>\n{(ROOT/".ci"/"report.css").read_text(encoding="utf-8")}</style>'

class Executed(Quickly):
    "For the report: nothing leads to the site on the net."
    def base_procs(self): return [p for p in super().base_procs() if p.__name__ not in ('add_links', 'insert_warning')]

def navigation(name, names):
    "Links of a page to the front page, its neighbours and its notebook."
    up, at = '../'*(len(name.parts)-1), names.index(name)
    link = lambda to, text: f'<a href="{up}{to.with_suffix(".html").as_posix()}">{text}</a>'
    near = [(at-1, '← {}'), (at+1, '{} →')]
    links = [link(names[i], text.format(names[i].stem)) for i, text in near if 0 <= i < len(names)]
    own = f'<a href="{name.name}">this one, executed (.ipynb)</a>'
    return f'<nav><a href="../{up}index.html">all notebooks</a>{"".join(links)}{own}</nav>'

def processed(nb):
    "An executed notebook after nbdev's filters, its links leading to pages; no badge, which would come from the net."
    nb = nbformat.v4.new_notebook(cells=[c for c in nb.cells if not is_badge(c)], metadata=nb.metadata)
    with tempfile.TemporaryDirectory() as t:
        nbformat.write(nb, Path(t)/'in.ipynb')
        exec_nb(Path(t)/'in.ipynb', Path(t)/'out.ipynb', Executed)
        page = read(Path(t)/'out.ipynb')
    for c in page.cells:
        if c.cell_type == 'markdown': c.source = to_pages(c.source)
    return page

def to_pages(text):
    "Markdown whose links to files of this project lead to their pages."
    return re.sub(r'(\]\((?!\w+:)[^)\s#]+)\.(?:ipynb|md)(?=[)#])', r'\1.html', text)

def report_page(name, nb, names, folder):
    "An executed notebook as a page that is read without a network; `folder` is that of the report's notebooks."
    page = processed(nb)
    front = front_matter(page)
    if 'description' in front: page.cells.insert(1, nbformat.v4.new_markdown_cell(f'> {front["description"]}'))
    write_page(name, markdown(page, pictures=True), navigation(name, names), folder, front.get('title', name.stem))

def write_page(name, text, nav, folder, title):
    "Write Markdown as a page that is read without a network."
    with tempfile.TemporaryDirectory() as t:
        head, before = Path(t)/'head.html', Path(t)/'nav.html'
        head.write_text(STYLE, encoding='utf-8')
        before.write_text(nav, encoding='utf-8')
        options = ['-H', str(head), '-B', str(before), '-V', 'document-css=false', '-M', 'lang=en',
                   '-M', f'pagetitle={title}']
        text, warned = as_html(text, NBS, *options)
    if warned: print(f'\n{name}: pandoc warns: {warned}', file=sys.stderr)
    write_text((folder/name).with_suffix('.html'), text)

def other_pages(pictures, folder):
    "The pages that are no notebooks; the gallery with these pictures, executed here, in place of the stored ones."
    for name in others():
        text = to_pages((NBS/name).read_text(encoding='utf-8'))
        if name == 'gallery.md': text += '\n'.join(pictures[k] for k in gallery.SHOWN if k in pictures)
        write_page(Path(name), text, '<nav><a href="../index.html">all notebooks</a></nav>', folder, Path(name).stem)

DIGITS = {'over_floor': 2, 'accuracy': 3, 'volunteers': 1, 'minutes': 1}      # after the point; of other numbers 4
HEADS = {'over_floor': 'RMSE / floor', 'rmse': 'RMSE', 'rmse_train': 'RMSE in training', 'mae': 'MAE'}

def models(table):
    "The table of models as HTML that fits a page: a column that says one thing becomes a note, low and high are one."
    if {'low', 'high'} <= set(table):
        ends = [f'{a:.4f} to {b:.4f}' if a != '' else '' for a, b in zip(table.low, table.high)]
        table = table.assign(low=ends).rename(columns={'low': '95 % interval'}).drop(columns='high')
    only = {c: {str(v) for v in table[c] if v != ''} for c in table.columns[1:]}
    same = [c for c in only if len(table) > 1 and len(only[c]) < 2]
    constant = ', '.join(f'{c} {next(iter(only[c]))}' for c in same if only[c])
    shown = table.drop(columns=same)
    head = lambda c: html.escape(HEADS.get(c, str(c).replace('_', ' ')))
    def said(c, v):
        if isinstance(v, float): return f'{v:.{DIGITS.get(c, 4)}f}'
        return f'{v:,}' if isinstance(v, numbers.Integral) else html.escape(str(v))
    cells = lambda row: ''.join(f'<td data-label="{head(c)}">{said(c, v)}</td>' for c, v in row.items())
    rows = ''.join(f'<tr>{cells(row)}</tr>' for _, row in shown.iterrows())
    head_row = ''.join(f'<th>{head(c)}</th>' for c in shown)
    note = f'<p>The same in all rows that have it: {html.escape(constant)}.</p>' if constant else ''
    return f'<h2>Models</h2><div class="cell"><table class="wide"><tr>{head_row}</tr>{rows}</table></div>{note}'

def test():
    "The table of models says what it must in as few columns as it can."
    columns = {'model': ['a <b>', 'b', 'zeros'], 'rmse': [.12345, .2, .5], 'low': [.1, .1, .4], 'high': [.2, .3, .6],
               'over_floor': [2.681, 2.9, 3.], 'parameters': [1234567, 8, ''], 'device': ['cpu', 'cpu', '']}
    table = pd.DataFrame(columns, dtype=object)
    said = models(table)
    for words in ('a &lt;b&gt;', '0.1235', '0.1000 to 0.2000', '<th>RMSE / floor</th>', '>2.68<', '>1,234,567<'):
        assert words in said, (words, said)
    assert said.count('<th>') == 5 and 'have it: device cpu.' in said and '<th>device' not in said, said

def front_page(settings, times, pictures, table=None):
    "Write _report/index.html: what was run, the table of models once it is there, key figures, links to all pages."
    rows = ''.join(f'<tr><td><a href="notebooks/{n.with_suffix(".html").as_posix()}">{html.escape(said)}</a></td>'
                   f'<td>{seconds:.1f} s</td></tr>' for n, (said, seconds) in times.items())
    below = '' if table is None else models(table)
    shown = [pictures[k] for k in gallery.FRONT if k in pictures]
    top = f'<div class="figures">{"".join(shown)}</div>' if shown else ''
    write_text(REPORT/'index.html', f'''<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>galaxy_nbdev</title>{STYLE}</head>
<body class="front"><h1>galaxy_nbdev</h1><p>{settings._repr_html_()}</p>{below}{top}
<h2>Notebooks</h2><div class="cell"><table><tr><th>notebook</th><th>executed in</th></tr>{rows}</table></div>
</body></html>''')

def run():
    "Execute all notebooks; what is done is in the report, even where one stops."
    settings, _ = prepare()
    names, times, front, shown = chosen(), {}, {}, {}
    emptied(REPORT)
    other_pages({}, REPORT/'notebooks')
    in_order = lambda: {n: times[n] for n in names if n in times}
    def keep(name, nb, seconds):
        with replacing(REPORT/'notebooks'/name) as new: nbformat.write(nb, new)
        report_page(name, nb, names, REPORT/'notebooks')
        times[name] = title(nb), seconds
        page = name.with_suffix('.html').as_posix()
        for keys, made, at in ((gallery.FRONT, front, f'notebooks/{page}'), (gallery.SHOWN, shown, page)):
            made |= {k: gallery.entry(*k, nb, at) for k in keys if k[0] == name.with_suffix('').as_posix()}
        front_page(settings, in_order(), front)
    each(NBS, keep)
    other_pages(shown, REPORT/'notebooks')
    from galaxy_nbdev.evaluation import leaderboard
    board = leaderboard()
    table = board.convert_dtypes()      # whole numbers as such, beside rows that lack them
    table = table.astype(object).where(table.notna(), '')
    front_page(settings, in_order(), front, table)
    if caveat := board.attrs.get('caveat'): print(f'\nThe noise floor is that {caveat}.')
    print(f'\n{table.to_string(index=False, float_format="{:.4f}".format)}\n\nReport: {REPORT/"index.html"}')

if __name__ == '__main__':
    try:
        with lock(REPORT, timeout=0): run()
    except Timeout: sys.exit(f'another `make run` is writing {REPORT}: wait for it, or work in a second checkout')
    except Stopped as e: sys.exit(f'\n{e}')
    except KeyboardInterrupt: sys.exit(f'\nstopped: what is done is in {REPORT}')
