"""Drives the galaxy browser in JupyterLab in headless Chromium: filter, page, select. Leaves a screenshot;
fails where there is no Chromium."""
import json, os, secrets, shutil, socket, subprocess, sys, tempfile, time, urllib.request
from pathlib import Path
import nbformat, nbformat.v4 as nbf

ROOT = Path(__file__).resolve().parent.parent
CELLS = ['from galaxy_nbdev import sources\nfrom galaxy_nbdev.browser import GalaxyBrowser\n'
         'browser = GalaxyBrowser(sources.catalogue())',
         'browser',
         'print("kept:", *browser.selected.galaxy_id)']

KERNEL = 'window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status'
NO_VOTES = "arguments[0].value = '0'; arguments[0].dispatchEvent(new Event('change', {bubbles: true}))"

def program(*names):
    "Where the first of these programs lies; fails with the way to get one."
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        sys.exit(f'FAIL  there is no {names[0]} here: on Debian and Ubuntu, apt-get install chromium chromium-driver')
    return found

def chrome(): return program('chromium', 'chromium-browser', 'google-chrome')

def lab(folder, port, token):
    "JupyterLab on one notebook, without anything of the user's own settings."
    settings = folder/'settings'/'@jupyterlab'/'apputils-extension'
    settings.mkdir(parents=True)
    (settings/'notification.jupyterlab-settings').write_text(json.dumps({'fetchNews': 'false',
                                                                         'checkForUpdates': False}))
    notebook = nbf.new_notebook(cells=[nbf.new_code_cell(c) for c in CELLS],
        metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3', 'language': 'python'}})
    (folder/'work').mkdir()
    nbformat.write(notebook, folder/'work'/'browse.ipynb')
    own = {'GALAXY_HOME': os.environ.get('GALAXY_HOME', str(ROOT)),
           'GALAXY_PROFILE': os.environ.get('GALAXY_PROFILE', 'test'), 'JUPYTER_CONFIG_DIR': str(folder/'config'),
           'JUPYTERLAB_SETTINGS_DIR': str(folder/'settings'), 'JUPYTERLAB_WORKSPACES_DIR': str(folder/'spaces'),
           'JUPYTER_RUNTIME_DIR': str(folder/'runtime'),
           'PYTHONPATH': os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])}
    command = [sys.executable, '-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}',
               f'--IdentityProvider.token={token}',
               f'--ServerApp.root_dir={folder/"work"}', '--expose-app-in-browser']
    return subprocess.Popen(command, env=os.environ | own, stdout=open(folder/'lab.log', 'w'), stderr=subprocess.STDOUT)

def chromium(folder):
    "A headless Chromium, driven by Debian's own driver, so that nothing is downloaded."
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = chrome()
    for o in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--window-size=1500,1100',
              f'--user-data-dir={folder/"chromium"}'): options.add_argument(o)
    driver = webdriver.Chrome(options=options, service=Service(program('chromedriver')))
    # a window that no desktop gives the focus has no current notebook
    driver.execute_cdp_cmd('Emulation.setFocusEmulationEnabled', {'enabled': True})
    return driver

def until(what, condition, seconds=90):
    "Wait for `condition` to return something true, and return it; fails naming `what`."
    end = time.monotonic()+seconds
    while time.monotonic() < end:
        try:
            if found := condition(): return found
        except Exception as e: last = e     # elements come and go while the page is drawn
        time.sleep(.05)
    sys.exit(f'FAIL  waited {seconds} s for {what}')

def drive(driver, address, picture):
    "Filter, page and select as a person does; every step waits for what it should show."
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select
    find = lambda css: driver.find_elements(By.CSS_SELECTOR, css)
    run = lambda command: driver.execute_script('return window.jupyterapp.commands.execute(arguments[0])', command)
    driver.get(address)
    until('the kernel', lambda: driver.execute_script(f'return {KERNEL} == "idle"'))
    run('notebook:run-all-cells')
    said = lambda: next(e.text for e in find('.widget-html') if 'galaxies, page' in e.text)
    first = until('the browser widget', said)
    took = {}
    def step(name, act, shows):
        before, start = said(), time.monotonic()
        act()
        took[name] = (until(f'{name}: {before!r} to change',
                            lambda: said() if said() != before and shows(said()) else None), time.monotonic()-start)
    button = lambda text: next(b for b in find('button.jupyter-button') if b.text == text)
    boxes = find('.widget-dropdown select')
    step('question 7', lambda: Select(boxes[0]).select_by_index(6), lambda s: 'page 1 of' in s)
    step('votes', lambda: driver.execute_script(NO_VOTES, find('.widget-text input')[0]), lambda s: 'page 1 of' in s)
    step('next page', lambda: button('next >').click(), lambda s: 'page 2 of' in s)
    shown = [b for b in find('button.jupyter-button') if b.get_attribute('title')
             and 'data:image/jpeg' in b.value_of_css_property('background-image')]
    if len(shown) != 12: sys.exit(f'FAIL  {len(shown)} pictures on the page, expected 12')
    names = [shown[k].get_attribute('title') for k in (2, 5)]
    step('click', lambda: shown[2].click(), lambda s: s.endswith('kept 1'))
    step('another', lambda: shown[5].click(), lambda s: s.endswith('kept 2'))
    detail = until('the whole tree', lambda: next(e.text for e in find('.widget-html') if 'how rounded' in e.text))
    if names[1] not in detail: sys.exit(f'FAIL  the pane shows another galaxy than {names[1]}')
    picture.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(picture))
    driver.execute_script("const n = window.jupyterapp.shell.currentWidget.content; n.activeCellIndex = 2")
    run('notebook:run-cell')
    until(f'the two galaxies {names} in .selected',
          lambda: any(f'kept: {" ".join(names)}' in e.text for e in find('.jp-OutputArea-output')))
    errors = [e['message'] for e in driver.get_log('browser') if e['level'] == 'SEVERE'
              and 'favicon' not in e['message']]
    return first, took, names, errors

def main():
    "Start JupyterLab and Chromium, drive, stop both."
    picture = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT/'_report'/'browser.png').resolve()
    chrome(), program('chromedriver')      # before the work
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as t:
        folder, token = Path(t), secrets.token_hex(16)
        server, driver = lab(folder, port, token), None
        try:
            until('JupyterLab',
                  lambda: urllib.request.urlopen(f'http://127.0.0.1:{port}/api?token={token}', timeout=2).status == 200)
            driver = chromium(folder)
            first, took, names, errors = drive(driver, f'http://127.0.0.1:{port}/lab/tree/browse.ipynb?token={token}',
                                               picture)
        finally:
            if driver: driver.quit()
            server.terminate(); server.wait(30)
    print(f'      {first}')
    for name, (text, seconds) in took.items(): print(f'      {name}: {text}  ({seconds:.2f} s)')
    if errors: sys.exit('FAIL  the page reported errors:\n      ' + '\n      '.join(errors[:5]))
    print(f'ok    the browser filters, pages and keeps {" and ".join(names)} in JupyterLab; screenshot in {picture}')

if __name__ == '__main__': main()
