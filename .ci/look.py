"""Opens every page of a report in headless Chromium, wide, dark and as on a phone: no error, nothing from the net,
nothing wider than the page, no text over text; leaves pictures."""
import sys, tempfile
from pathlib import Path
from browser import chromium
from notebooks import REPORT
from pages import Read

VIEWS = {'wide': (1280, 1000, 'light'), 'dark': (1280, 1000, 'dark'), 'phone': (390, 844, 'light')}
FAULTS = '''
const out = [], say = (...words) => out.push(words.join(''));
const seen = e => e.getClientRects().length && getComputedStyle(e).visibility != 'hidden';
const wide = document.documentElement.scrollWidth;
if (wide > innerWidth + 1) say('the page is ', wide, ' pixels wide, the window ', innerWidth);
for (const t of document.querySelectorAll('table.wide'))
  if (t.scrollWidth > t.parentElement.clientWidth + 1) say('the table of models is cut at the right');
for (const i of document.images) if (!i.complete || !i.naturalWidth) say('a picture is not shown: ', i.alt);
for (const i of document.images) if (!i.alt) say('a picture without alternative text');
for (const r of performance.getEntriesByType('resource')) if (/^https?:/.test(r.name)) say('loads ', r.name);
const kinds = 'h1,h2,h3,p,pre,figcaption,img,li,table';
const blocks = [...document.querySelectorAll(kinds)].filter(e => seen(e) && !e.closest('table table, pre pre, math'));
const words = e => '"' + (e.innerText || e.alt || '').slice(0, 40) + '"';
for (let i = 1; i < blocks.length; i++) {
  const a = blocks[i-1], b = blocks[i];
  if (a.contains(b) || b.contains(a)) continue;
  const p = a.getBoundingClientRect(), q = b.getBoundingClientRect();
  const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
  if (high > 2 && Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2) say(words(a), ' lies over ', words(b));
}
return out'''

def links(report):
    "Links of the report's pages that lead nowhere, and pages that no page links."
    pages = {p.resolve(): Read(p.read_text(encoding='utf-8')) for p in report.rglob('*.html')}
    wrong, reached = [], {(report/'index.html').resolve()}
    for page, read in pages.items():
        for link in read.links:
            file, _, anchor = link.partition('#')
            if ':' in file: continue
            to = (page.parent/file).resolve() if file else page
            reached.add(to)
            at = page.relative_to(report)
            if not to.exists(): wrong.append(f'{at}: {link} leads nowhere')
            elif anchor and to in pages and anchor not in pages[to].ids: wrong.append(f'{at}: there is no {link}')
    return wrong + [f'nothing links {p.relative_to(report)}' for p in pages.keys()-reached]

def view(driver, width, height, scheme):
    "Set the window as on this kind of device."
    size = {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': width < 600}
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    features = [{'name': 'prefers-color-scheme', 'value': scheme}]
    driver.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': features})

def look_at(driver, page, kind, picture):
    "What is wrong with one page in one view; a picture of it, the whole page where it is not too long."
    width, height, scheme = VIEWS[kind]
    view(driver, width, height, scheme)
    driver.get(page.as_uri())
    wrong = driver.execute_script(FAULTS)
    wrong += [e['message'] for e in driver.get_log('browser') if e['level'] == 'SEVERE']
    view(driver, width, min(driver.execute_script('return document.documentElement.scrollHeight'), 12000), scheme)
    driver.save_screenshot(str(picture))
    return wrong

def look(report, pictures):
    "What is wrong with the pages as a browser shows them."
    wrong = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as t:
        driver = chromium(Path(t))
        try:
            for page in sorted(report.rglob('*.html')):
                name = page.relative_to(report).with_suffix('').as_posix()
                for kind in VIEWS:
                    found = look_at(driver, page, kind, pictures/f'{name.replace("/", "-")}-{kind}.png')
                    wrong += [f'{name} ({kind}): {f}' for f in found]
        finally: driver.quit()
    return wrong

if __name__ == '__main__':
    report = Path(sys.argv[1] if len(sys.argv) > 1 else REPORT).resolve()
    pictures = Path(sys.argv[2] if len(sys.argv) > 2 else report/'pictures').resolve()
    if not (report/'index.html').exists(): sys.exit(f'there is no {report/"index.html"}: make run writes it')
    pictures.mkdir(parents=True, exist_ok=True)
    wrong = links(report) + look(report, pictures)
    if wrong: sys.exit('\n'.join(wrong))
    n = len(list(report.rglob('*.html')))
    print(f'{n} pages, wide, dark and on a phone, are as they should be; pictures of them in {pictures}')
