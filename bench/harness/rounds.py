"""Rounds: every contender once in each, in turns, or all at the same time."""

from concurrent.futures import ThreadPoolExecutor

from .figures import FOREIGN_MAX

# How often a contender is measured in a round, until others leave it alone.
TRIES = 3


def alternate(contenders, rounds, measure, say):
    """Every contender once per round, the order turning, so that none always comes first.

    A contender beside whom others took more of a CPU than they may is measured again at once, a few
    times at most. So is a round in which there still is one, at most half as many times as there are
    rounds; then those with least of it count. What the figures were has no part in that.

    Returns the samples, how many rounds there were, and how often something was measured again at once.
    """
    done, again = [], 0
    most = rounds + rounds // 2
    for number in range(most):
        turn = number % len(contenders)
        say(f"round {number + 1}")
        order = contenders[turn:] + contenders[:turn]
        taken = {c.name: left_alone(c, measure, say) for c in order}
        again += sum(tries - 1 for _, tries in taken.values())
        done.append({name: sample for name, (sample, _) in taken.items()})
        if sum(foreign(samples) <= FOREIGN_MAX for samples in done) >= rounds:
            break
        if rounds <= number + 1 < most:
            say("others took part of a CPU: one more round")
    quiet = sorted(range(len(done)), key=lambda index: max(FOREIGN_MAX, foreign(done[index])))
    kept = [done[index] for index in sorted(quiet[:rounds])]
    return {c.name: [samples[c.name] for samples in kept] for c in contenders}, len(done), again


def together(contenders, rounds, measure, say):
    """All contenders at the same time, each with its own load: for memory, which no neighbour changes."""
    samples = {contender.name: [] for contender in contenders}
    with ThreadPoolExecutor(len(contenders)) as threads:
        for number in range(rounds):
            say(f"round {number + 1}/{rounds}")
            taken = threads.map(lambda contender: one(contender, measure, say), contenders)
            for contender, sample in zip(contenders, taken):
                samples[contender.name].append(sample)
    return samples


def left_alone(contender, measure, say):
    """Of a few tries the first beside which others did little, or else the one with least of it; and how
    many there were."""
    tries = []
    for _ in range(TRIES):
        tries.append(one(contender, measure, say))
        if tries[-1].get("foreign", 0) <= FOREIGN_MAX:
            break
    return min(tries, key=lambda sample: sample.get("foreign", 0)), len(tries)


def one(contender, measure, say):
    server = contender.start()
    server.point = contender.point
    try:
        sample = measure(server)
        server.process.check_alive()
    finally:
        server.stop()
    say(f"  {contender.name}: " + ", ".join(f"{k} {v:.4g}" for k, v in sample.items()))
    return sample


def foreign(samples):
    return max(sample.get("foreign", 0) for sample in samples.values())
