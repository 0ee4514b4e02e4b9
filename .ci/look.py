"""Opens every page of a report in headless Chromium, wide and as on a phone: no error, nothing from the net, nothing wider than the page, no text over text; leaves pictures."""
import sys, tempfile
from pathlib import Path
from browser import chromium
from notebooks import REPORT
from pages import Read

WIDTHS = {'wide': (1280, 1000), 'phone': (390, 844)}
FAULTS = '''
const out = [], seen = e => e.getClientRects().length && getComputedStyle(e).visibility != 'hidden';
if (document.documentElement.scrollWidth > innerWidth + 1) out.push('the page is ' + document.documentElement.scrollWidth + ' pixels wide, the window ' + innerWidth);
for (const i of document.images) if (!i.complete || !i.naturalWidth) out.push('a picture is not shown: ' + i.alt);
for (const i of document.images) if (!i.alt) out.push('a picture without alternative text');
for (const r of performance.getEntriesByType('resource')) if (/^https?:/.test(r.name)) out.push('loads ' + r.name);
const blocks = [...document.querySelectorAll('h1,h2,h3,p,pre,figcaption,img,li,table')].filter(e => seen(e) && !e.closest('table table, pre pre, math'));
for (let i = 1; i < blocks.length; i++) {
  const a = blocks[i-1], b = blocks[i];
  if (a.contains(b) || b.contains(a)) continue;
  const p = a.getBoundingClientRect(), q = b.getBoundingClientRect();
  if (Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 2 && Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2)
    out.push('"' + (a.innerText || a.alt || '').slice(0, 40) + '" lies over "' + (b.innerText || b.alt || '').slice(0, 40) + '"');
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
            if not to.exists(): wrong.append(f'{page.relative_to(report)}: {link} leads nowhere')
            elif anchor and to in pages and anchor not in pages[to].ids: wrong.append(f'{page.relative_to(report)}: there is no {link}')
    return wrong + [f'nothing links {p.relative_to(report)}' for p in pages.keys()-reached]

def look(report, pictures):
    "What is wrong with the pages as a browser shows them; a picture of each top, and of the whole page where it is not too long."
    wrong = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as t:
        driver = chromium(Path(t))
        try:
            for page in sorted(report.rglob('*.html')):
                for kind, (width, height) in WIDTHS.items():
                    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': kind == 'phone'})
                    driver.get(page.as_uri())
                    name = page.relative_to(report).with_suffix('').as_posix()
                    wrong += [f'{name} ({kind}): {f}' for f in driver.execute_script(FAULTS)]
                    wrong += [f'{name} ({kind}): {e["message"]}' for e in driver.get_log('browser') if e['level'] == 'SEVERE']
                    length = min(driver.execute_script('return document.documentElement.scrollHeight'), 12000)
                    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {'width': width, 'height': length, 'deviceScaleFactor': 1, 'mobile': kind == 'phone'})
                    driver.save_screenshot(str(pictures/f'{name.replace("/", "-")}-{kind}.png'))
        finally: driver.quit()
    return wrong

if __name__ == '__main__':
    report = Path(sys.argv[1] if len(sys.argv) > 1 else REPORT).resolve()
    pictures = Path(sys.argv[2] if len(sys.argv) > 2 else report/'pictures').resolve()
    if not (report/'index.html').exists(): sys.exit(f'there is no {report/"index.html"}: make run writes it')
    pictures.mkdir(parents=True, exist_ok=True)
    wrong = links(report) + look(report, pictures)
    if wrong: sys.exit('\n'.join(wrong))
    print(f'{len(list(report.rglob("*.html")))} pages, wide and on a phone, are as they should be; pictures of them in {pictures}')
