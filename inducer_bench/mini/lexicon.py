"""The evaluative words of the text world: words of praise and of blame, by part of speech and by aspect.

Every list is ordered from common to rare: `Words.pick` draws by Zipf's law, so that a small labelled set shows the end
of a list rarely or never, and the meaning of those words can only be learned in pre-training.
"""

from dataclasses import dataclass
from itertools import accumulate
from random import Random


@dataclass(frozen=True)
class Words:
    """Words or short phrases from common to rare, with cumulative weights 1/(rank + 3)."""

    entries: tuple[str, ...]
    cumulative: tuple[float, ...]

    def pick(self, rng: Random) -> str:
        """Draws one entry by Zipf's law."""
        return rng.choices(self.entries, cum_weights=self.cumulative)[0]


def _words(text: str, separator: str | None = None) -> Words:
    """Splits a text at white space, or at `separator` where entries hold spaces."""
    entries = tuple(entry.strip() for entry in text.split(separator))
    return Words(entries, tuple(accumulate(1 / (rank + 3) for rank in range(len(entries)))))


def _phrases(text: str) -> Words:
    return _words(text, ",")


Poles = dict[bool, Words]  # True: praise, False: blame

ANYTHING: Poles = {  # adjectives that fit a film and each of its aspects
    True: _words("""
        wonderful superb brilliant excellent delightful splendid remarkable terrific outstanding impressive magnificent
        charming engaging captivating enchanting enjoyable memorable marvellous inspired refreshing dazzling exquisite
        sublime first-rate irresistible winning fascinating beguiling mesmerising riveting enthralling bewitching
        exhilarating entrancing graceful elegant polished accomplished assured masterly glorious radiant vibrant
        spirited lively fresh inventive imaginative ingenious clever flawless seductive alluring ravishing stellar
        peerless stupendous top-notch impeccable tremendous admirable exemplary unmissable"""),
    False: _words("""
        terrible awful dull dreadful boring bad disappointing tedious bland lifeless forgettable mediocre horrible
        clumsy atrocious abysmal dismal lousy appalling wretched woeful pitiful pathetic lamentable deplorable
        miserable unbearable insufferable tiresome dreary monotonous listless insipid vapid stale uninspired
        inept amateurish shoddy sloppy careless slapdash half-baked underwhelming pointless cheap tacky tasteless
        annoying irritating infuriating exasperating laughable ludicrous charmless soulless joyless excruciating
        ghastly hideous lacklustre second-rate feeble hopeless"""),
}

ASPECTS: dict[str, Poles] = {  # adjectives for the film as a whole and for one aspect each
    "film": {
        True: _words("""
            moving touching compelling thoughtful entertaining uplifting honest heartfelt original profound intelligent
            absorbing rewarding satisfying heart-warming tender wise humane stirring perceptive insightful sincere
            authentic life-affirming generous soulful resonant luminous poignant unforgettable"""),
        False: _words("""
            predictable shallow pretentious formulaic hollow silly unoriginal derivative overblown bloated superficial
            self-indulgent trite banal crass vulgar offensive ridiculous preposterous idiotic witless brainless inane
            juvenile smug cynical phoney manipulative cheerless unwatchable hackneyed overlong"""),
    },
    "plot": {
        True: _words("""
            gripping taut suspenseful well-crafted thrilling surprising unpredictable tense tight coherent twisty
            finely-tuned nail-biting watertight hypnotic electrifying"""),
        False: _words("""
            muddled incoherent contrived implausible thin confusing far-fetched threadbare meandering nonsensical
            flimsy disjointed convoluted aimless rambling unbelievable"""),
    },
    "acting": {
        True: _words("""
            convincing magnetic nuanced charismatic commanding expressive believable subtle passionate natural
            fearless poised affecting disarming electric virtuosic"""),
        False: _words("""
            wooden unconvincing stilted stiff hammy one-note robotic awkward overdone flat mannered grating
            colourless strained sleepy catatonic"""),
    },
    "music": {
        True: _words("""
            haunting beautiful stirring lush rousing catchy melodious soaring atmospheric evocative lilting
            infectious hummable sonorous ethereal jubilant"""),
        False: _words("""
            shrill intrusive tuneless repetitive tinny saccharine discordant bombastic syrupy deafening jarring
            screeching droning cloying whiny maudlin"""),
    },
    "look": {
        True: _words("""
            gorgeous stunning breathtaking sumptuous handsome vivid lavish painterly dreamlike spectacular
            eye-catching crisp opulent resplendent majestic shimmering"""),
        False: _words("""
            ugly murky garish shaky drab blurry gaudy unsightly grimy dingy washed-out muddy
            nauseating lurid dull-edged artless"""),
    },
    "words": {
        True: _words("""
            funny witty hilarious sharp sparkling smart droll razor-sharp quotable playful mischievous
            wry pithy eloquent effervescent side-splitting"""),
        False: _words("""
            unfunny clunky corny leaden laboured cringe-worthy cheesy groan-inducing childish stale tone-deaf
            long-winded preachy toothless puerile turgid"""),
    },
    "pace": {
        True: _words("""
            brisk confident fluid nimble sure-footed energetic deft precise propulsive buoyant agile rhythmic
            breezy spry kinetic zippy"""),
        False: _words("""
            slow sluggish plodding choppy uneven ponderous erratic lethargic jerky laborious leaden glacial
            slack haphazard stop-start soporific"""),
    },
    "people": {
        True: _words("""
            likeable relatable endearing lovable well-drawn three-dimensional sympathetic appealing vivid complex
            layered multi-faceted winsome adorable warm-hearted engrossing"""),
        False: _words("""
            unlikeable cartoonish one-dimensional underwritten stereotypical cardboard obnoxious interchangeable
            underdeveloped sketchy loathsome whiny paper-thin cookie-cutter vacuous repellent"""),
    },
}

VERBS: Poles = {  # base forms; the first word is inflected
    True: _phrases("""
        delight, charm, entertain, impress, shine, inspire, thrill, captivate, dazzle, win you over, touch the heart,
        hold your attention, work, soar, sparkle, enchant, satisfy, amuse, fascinate, make you smile, warm the heart,
        hit the mark, ring true, cast a spell, lift the spirits, take your breath away, live up to its promise,
        keep you guessing, leave you wanting more, pack a punch, come alive, astonish, mesmerise, excel, glow,
        strike gold, linger in the memory, pull at the heartstrings, fire on all cylinders, enthral, work like a charm,
        sweep you away, earn its applause, repay your patience, hit home, raise the roof, transport you, beguile,
        set the pulse racing, steal your heart"""),
    False: _phrases("""
        bore, disappoint, annoy, drag, irritate, fall flat, waste your time, go nowhere, run out of steam, stumble,
        lose its way, put you to sleep, miss the mark, leave you cold, outstay its welcome, test your patience,
        insult your intelligence, frustrate, plod, fall apart, ring false, grate, flounder, sag, fizzle, exasperate,
        infuriate, alienate, make you cringe, get on your nerves, ramble, backfire, flop, collapse under its own weight,
        go off the rails, sink without trace, descend into nonsense, creak at every turn, limp along, repel,
        send you to sleep, make you look at your watch, come unstuck, numb the mind, squander its chances, turn sour,
        try too hard, lose the thread, wear you down, wilt"""),
}

NOUNS: Poles = {  # what a film is, with an article
    True: _phrases("""
        a triumph, a masterpiece, a delight, a gem, a treat, a joy, a success, a winner, a marvel, a wonder,
        a classic, a revelation, a treasure, a pleasure, a work of art, a breath of fresh air, a tour de force, a feast,
        a labour of love, a charmer, a crowd-pleaser, a knockout, a jewel, a small miracle, a thing of beauty,
        a class act, a tonic, a stunner, a milestone, a landmark, a cracker, a beauty"""),
    False: _phrases("""
        a mess, a failure, a bore, a disaster, a disappointment, a waste of time, a flop, a dud, a chore, a letdown,
        an ordeal, a missed opportunity, a shambles, an embarrassment, a misfire, a slog, a fiasco, a travesty,
        a train wreck, a blunder, a headache, a damp squib, a bad joke, a clunker, a stinker, a turkey, a debacle,
        a botched job, a lost cause, an exercise in tedium, a sorry affair, a snooze"""),
}

SUBSTANCES: Poles = {  # what a film is full of, or has none of
    True: _phrases("""
        charm, wit, warmth, energy, heart, imagination, style, grace, humour, invention, intelligence, humanity, flair,
        verve, sparkle, subtlety, tenderness, insight, ingenuity, passion, originality, finesse, panache, magic, zest,
        good ideas, clever touches, memorable moments, lovely surprises, vitality"""),
    False: _phrases("""
        clichés, tedium, nonsense, padding, plot holes, bad jokes, cheap tricks, stock characters, false notes,
        sentimentality, bombast, vulgarity, cynicism, self-importance, clumsiness, drivel, hot air, schmaltz,
        dead ends, preaching, loose ends, empty gestures, tired ideas, pomposity, platitudes, blather, gloom,
        awkward pauses, hysterics, dead wood"""),
}

ATTITUDES: Poles = {  # what a viewer does; base and past share one entry
    True: _phrases("love/loved, enjoy/enjoyed, like/liked, admire/admired, adore/adored, relish/relished, "
                   "appreciate/appreciated, cherish/cherished, savour/savoured, applaud/applauded, treasure/treasured"),
    False: _phrases("hate/hated, dislike/disliked, regret/regretted, loathe/loathed, detest/detested, resent/resented, "
                    "despise/despised, deplore/deplored, mock/mocked, scorn/scorned, abhor/abhorred"),
}  # fmt: skip

INTENSIFIERS = ("very", "really", "truly", "quite", "thoroughly", "utterly", "remarkably", "so", "genuinely", "deeply")
