"""Fit the weights of the simulated volunteers' eye to the summary statistics of real votes.

    python benchmarks/volunteers.py --steps 400 # a few minutes; prints the table `_EYE` of
                        nbs/foundations/simulate.ipynb

Targets are those of results/real_statistics.json (Stripe 82, coadd sample): class means, scatters and correlations of
the cumulative fractions, the same of conditional ones where at least ten volunteers were asked, and the share of
clear-cut galaxies of each question. Which feature may speak for which answer, its sign and its least weight are laid
down in ALLOW: `bar+1.5` can only speak for the answer, and with at least that weight; `~` is free. The expected
scatter of finite votes is added to that of the probabilities, so no votes need to be drawn.
"""
import argparse, re, sys
from pathlib import Path
import numpy as np, torch
import torch.nn.functional as F

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from galaxy_nbdev import results
from galaxy_nbdev.schema import ANSWERS, CLASSES, QUESTIONS, tied_pairs
from galaxy_nbdev.simulate import visible
from galaxy_nbdev.sky import galaxies

ALLOW = {
    'Class1.2': 'disk+ edge+ arms+ bar+ ring+ irregular+ disturbed+ clear+ bulge- thin+ dust+ blue+ merger+',
    'Class1.3': 'artifact+1 clear- crowd+ irregular+ blue+ merger+ disk-',
    'Class2.1': 'edge+ thin+ flat+ arms- bar- ring- boxy+ dust+ irregular-',
    'Class3.1': 'bar+1.5 flat~ arms~ ring- bulge~',
    'Class4.1': 'arms+1.2 edge- flat- clear+ ring~ bar~ blue~ irregular- disk+',
    'Class5.1': 'irregular+ blue+ bulge-1 disk+',
    'Class5.2': 'arms~ blue~ bulge- irregular~',
    'Class5.4': 'bulge+1 arms- disk- blue- ring~ flat-',
    'Class6.1': 'ring+0.7 lens+0.7 dust+0.35 disturbed+0.7 irregular+0.7 merger+1 crowd+0.4 clear+ '
                'arms- disk+ edge- blue+ bar+',
    'Class7.1': 'flat- thin-',
    'Class7.3': 'thin+ flat+ edge+',
    'Class8.1': 'ring+1.3 arms+ disk+ clear+ bulge+ bar+ blue-',
    'Class8.2': 'lens+1.3 arms~ edge-',
    'Class8.3': 'disturbed+1.2 irregular+',
    'Class8.4': 'irregular+1.2 blue+ disturbed+',
    'Class8.6': 'merger+1.2 disturbed+',
    'Class8.7': 'dust+1.3 edge+ thin+',
    'Class9.2': 'boxy+0.9 bulge+',
    'Class9.3': 'bulge-1.5 blue+ thin+',
    'Class10.1': 'tight+0.8 ring+ arms~ bulge+ floc~ irregular~',
    'Class10.3': 'tight-0.8 disturbed+ irregular+ blue+ arms~ merger+ floc~',
    'Class11.1': 'arms1+1.2 disturbed+ merger+ arms~ irregular+',
    'Class11.2': 'arms2+1.2 bar+ tight-',
    'Class11.3': 'arms3+1.2',
    'Class11.4': 'arms4+1.2',
    'Class11.5': 'arms5+1.2 floc+',
    'Class11.6': 'arms- floc+ clear- ring~ tight+ irregular~',
}
# no constant of their own
REFERENCE = ('Class1.1 Class2.2 Class3.2 Class4.2 Class5.3 Class6.2 Class7.2 Class8.5 Class9.1 Class10.2 '
             'Class11.2').split()
VOTES = 20.
# The share of clear-cut galaxies of a question is aimed at a little beside the real one: drawn votes then meet it,
# expected ones overshoot.
AIM = {1: -.03, 2: .01, 3: -.045, 4: -.015, 5: -.01, 6: -.03, 7: -.03, 9: -.03, 10: -.015}

at = CLASSES.index
OF = np.array([ANSWERS.question[c]-1 for c in CLASSES])
IX = [np.flatnonzero(OF == q) for q in range(11)]
PARENT = [None if q.parent is None else at(q.parent) for q in QUESTIONS]
way = lambda k: ([] if PARENT[OF[k]] is None else way(PARENT[OF[k]])) + [k]

def meeting(a, b):
    """How two answers of one volunteer hang together: 'a' or 'b' includes the other, None excludes it, else the class
    under which they are independent."""
    pa, pb = way(a), way(b)
    k = next((i for i, (x, y) in enumerate(zip(pa, pb)) if x != y), min(len(pa), len(pb)))
    if k == len(pa): return 'b'
    if k == len(pb): return 'a'
    return None if OF[pa[k]] == OF[pb[k]] else 'all' if k == 0 else CLASSES[pa[k-1]]

MEET = np.array([[meeting(a, b) or '' for b in range(37)] for a in range(37)])
FREE = torch.tensor(~tied_pairs().to_numpy())
when = {m: torch.tensor(MEET == m) for m in set(MEET.ravel())}

def vote_noise(cum):
    "Covariance (37, 37) that finite votes add to cumulative fractions, mean over galaxies."
    both, m = cum.T@cum/len(cum), cum.mean(0)
    joint = torch.zeros_like(both)
    for k, mask in when.items():
        if k == 'all': joint = torch.where(mask, both, joint)
        elif k == 'a': joint = torch.where(mask, m[:, None].expand(37, 37), joint)
        elif k == 'b': joint = torch.where(mask, m[None].expand(37, 37), joint)
        elif k:
            z = cum/(cum[:, [at(k)]]+1e-9).sqrt()
            joint = torch.where(mask, z.T@z/len(z), joint)
    return (joint-both)/VOTES

def losses(cond, cum, real, T):
    "Misfit to every kind of statistic."
    mean, cov = cum.mean(0), torch.cov(cum.T)+vote_noise(cum)
    sd = cov.diagonal().clamp_min(1e-9).sqrt()
    r = cov/sd[:, None]/sd[None]
    off, free = ~torch.eye(37, dtype=bool), FREE
    asked = torch.stack([torch.full_like(cum[:, 0], VOTES) if p is None else cum[:, p]*VOTES for p in PARENT], 1)
    enough = torch.sigmoid((asked-9.5)/(.6*(asked*(1-asked/21)).clamp_min(.5).sqrt()))
    n = asked.clamp_min(10)
    w = (enough/enough.sum(0))[:, OF]
    noise = cond*(1-cond)/n[:, OF]
    mu = (w*cond).sum(0)
    spread = (w*((cond-mu)**2+noise)).sum(0).clamp_min(1e-8).sqrt()
    above = torch.special.ndtr((cond-.825)/(noise.sqrt()+1e-3))
    certain = torch.stack([((enough/enough.sum(0))[:, q]*above[:, IX[q]].sum(1).clamp_max(1)).sum() for q in range(11)])
    between = 0.
    for a in range(11):
        for b in range(a+1, 11):
            target = real['conditional'][np.ix_(IX[a], IX[b])]
            if not np.isfinite(target).all(): continue
            v = enough[:, a]*enough[:, b]
            v = (v/v.sum())[:, None]
            x, y = cond[:, IX[a]], cond[:, IX[b]]
            dx, dy = x-(v*x).sum(0), y-(v*y).sum(0)
            vx, vy = (v*(dx**2+noise[:, IX[a]])).sum(0), (v*(dy**2+noise[:, IX[b]])).sum(0)
            r_ab = (v*dx).T@dy/(vx[:, None]*vy+1e-12).sqrt()
            between = between+((r_ab-torch.tensor(target))**2).sum()/400
    return dict(mean=.5*((mean-T['mean'])/(.1*T['mean']+.003)).square().mean(),
                pairs=60*(r-T['correlation'])[off].square().mean(), free=60*(r-T['correlation'])[free].square().mean(),
                scatter=.3*((sd-T['scatter'])/(.15*T['scatter'])).square().mean(), conditional=25*between,
                certain=80*(certain-T['certain']).square().mean(),
                asked=.25*(((mu-T['asked_mean'])/.05).square().mean()
                           + ((spread-T['asked_scatter'])/.04).square().mean()))

def fit(see, real, steps, seed=0):
    "Weights (37, k) and constants (37) by Adam on random galaxies."
    T = {k: torch.tensor(v) for k, v in real.items()}
    T['certain'] = T['certain']+torch.tensor([AIM.get(q.number, 0.) for q in QUESTIONS])
    torch.manual_seed(seed)
    names = list(see)
    x = torch.tensor(see.to_numpy())
    sign, least = torch.zeros(37, len(names)).double(), torch.zeros(37, len(names)).double()
    allowed = torch.zeros_like(sign)
    for c, words in ALLOW.items():
        for name, s, low in re.findall(r'(\w+)([+~-])([\d.]*)', words):
            i, j = at(c), names.index(name)
            allowed[i, j], sign[i, j], least[i, j] = 1, {'+': 1, '-': -1, '~': 0}[s], float(low or 0)
    raw = torch.where(sign != 0, -1., 0.).double().requires_grad_()
    loud = torch.tensor([c not in REFERENCE for c in CLASSES])
    const = torch.tensor(np.log(real['asked_mean']+1e-3))
    const = (const-torch.tensor([const[at(REFERENCE[q])] for q in OF])).requires_grad_()
    weights = lambda: torch.where(sign == 0, raw, sign*(least+F.softplus(raw)))*allowed
    opt = torch.optim.Adam([raw, const], .05)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, .06, steps)
    for step in range(steps):
        score = x[torch.randint(0, len(x), (2500,))]@weights().T+torch.where(loud, const, 0.)
        cum = [None]*37
        cond = torch.cat([torch.softmax(score[:, ix], 1) for ix in IX], 1)
        for q, ix in enumerate(IX):
            for k in ix: cum[k] = cond[:, k]*(1 if PARENT[q] is None else cum[PARENT[q]])
        parts = losses(cond, torch.stack(cum, 1), real, T)
        loss = sum(parts.values())+.003*weights().square().sum()/37
        opt.zero_grad()
        loss.backward()
        opt.step()
        plan.step()
        if step % 100 == 0 or step == steps-1: print(step, f'{loss.item():.3f}',
                                                     {k: round(v.item(), 3) for k, v in parts.items()},
                                                     file=sys.stderr, flush=True)
    return names, weights().detach().numpy(), torch.where(loud, const, 0.).detach().numpy()

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--steps', type=int, default=400)
    ap.add_argument('--n', type=int, default=12000)
    ap.add_argument('--seed', type=int, default=7)
    a = ap.parse_args()
    kept = results.load('real_statistics')
    real = {r.statistic: np.array(r.value, dtype='float64') for r in kept[kept.of == 'stripe82'].itertuples()}
    names, w, b = fit(visible(galaxies(a.n, a.seed, depth='coadd'), 'coadd'), real, a.steps)
    print('_EYE = {')
    for k, c in enumerate(CLASSES):
        d = {n: round(float(v), 2) for n, v in {'one': b[k], **dict(zip(names, w[k]))}.items() if abs(v) >= .04}
        if d: print(f"    {c!r}: dict({', '.join(f'{n}={v:g}' for n, v in d.items())}),")
    print('}')
