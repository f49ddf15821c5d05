"""What a requirement is about, read from its words: a title, a noun phrase, a slug, the features it asks for."""

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property

TEXT_LIMIT = 600  # characters; every document repeats the requirement, so a very long one is cut
REVISION_LIMIT = 300  # characters
TITLE_LIMIT = 48  # characters
FEATURE_LIMIT = 100  # characters
FEATURES_LIMIT = 3

# An adapter that lets a person revise a role's work adds the person's words to the prompt behind this mark.
REVISION_MARK = "A person asks to revise:"
REVISION_LINE = "Revision: "

LEAD_IN = re.compile(
    r"""(?:
      (?:hi|hello|hey|please|pls|kindly|ok|okay)\b[\s,!.:]*(?:there\b[\s,!.:]*)?
    | (?:can|could|would|will)\s+(?:you|we|someone)\s+
    | (?:i|we)(?:\s*['\u2019](?:d|m|ll|re)|\s+would|\s+will|\s+am|\s+are)?\s+(?:really\s+)?
      (?:like|love|want|need|wish|looking\s+for)\s+(?:you\s+)?(?:to\s+(?:have|get|see)\s+)?(?:to\s+)?
    | help\s+(?:me|us)\s+(?:to\s+)?
    | let['\u2019]?s\s+
    )""",
    re.IGNORECASE | re.VERBOSE,
)
MAKE = re.compile(
    r"""(?:
      (?:build|create|make|develop|implement)\s+(?:(?:me|us)\s+)?
    | (?:write|code|design|program|generate|give|do)\s+(?:(?:me|us)\s+)?(?=(?:an?|the|my|our|some|another)\s)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
CLAUSE = re.compile(
    r"(?:with|that|which|where|who|to|using|featuring|including|supporting|so|when|having)\s", re.IGNORECASE
)
# Ends of sentences, and marks within them, of Latin and of CJK scripts.
STOPS = ".!?\u3002\uff01\uff1f"
COMMAS = ",:;\u2013\u2014\u3001\uff0c"
CONNECTOR = re.compile(rf"\s+(?={CLAUSE.pattern})|\s*[{STOPS}{COMMAS}]+(?:\s+|$)|\s+-+\s+", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])")

DETERMINERS = frozenset("a an the my our some another one your this".split())
VERBS = frozenset(
    """add analyse analyze calculate catalogue check collect compare compute control convert count create display draw
    explore find follow forecast generate guess help keep learn list log manage measure monitor organise organize paint
    plan play practice practise predict print process read record remember remind roll save schedule search show
    simulate solve sort split store study summarise summarize teach test track translate view visualize watch write
    """.split()
)
VAGUE = frozenset(
    """app application assistant bot cli client code dashboard database game helper interface library manager organiser
    organizer page planner platform program project script server service simulator site software solution something
    system thing tool tracker utility web website work""".split()
)
HEAD_NOUNS = VAGUE | frozenset(
    """api bank blog book board calculator calendar catalog catalogue chat clock collection converter counter diary
    directory editor engine finder generator index inventory journal list log notebook player quiz reader roller shop
    simulation store timer viewer""".split()
)
ADJECTIVES = frozenset(
    """advanced ai-powered basic beautiful clean command command-line console cool cute easy fast fun good great
    interactive light line little local minimal mobile modern new nice online open personal powerful python quick real
    retro simple single small smart terminal text text-based tiny useful web-based""".split()
)
SMALL_WORDS = frozenset("a all an and any at by every for from in into of on or over the their upon".split())
KEPT_AS_TYPED = frozenset("I Python JSON".split())
SECOND_PERSON = {"my": "your", "our": "your", "me": "you", "us": "you", "i": "you", "we": "you", "i'm": "you are"}
MILD = "-'\u2019.,&+"  # punctuation that no comment, diagram or string minds
COLLECTING = re.compile(
    r"""(?:^|\bto\s|\bthat\s|\bcan\s)
    (?:track|manage|organi[sz]e|store|list|log|record|keep|collect|save|remember|plan|rate|review|sell|rent)\s+
    (?:track\s+of\s+)?(?:all\s+)?(?:of\s+)?(?:my|our|your|the|their|an?|some)?\s*
    ([a-z][a-z' -]*)""",
    re.VERBOSE,
)


def one_line(text: str, limit: int) -> str:
    """The words of a text on one line, with nothing unprintable, cut at a word if it is longer than limit."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(line) <= limit:
        return line
    kept = line[: limit - 1]
    return (kept.rsplit(" ", 1)[0] if " " in kept else kept).rstrip() + "…"


def plain(text: str, limit: int) -> str:
    """One line of letters, marks, digits and mild punctuation: safe in a comment, a diagram and a docstring."""
    kept = (
        c if unicodedata.category(c)[0] in "LMN" or c in MILD or unicodedata.category(c) == "So" else " " for c in text
    )
    return one_line("".join(kept), limit).strip(" " + MILD)


def singular(noun: str) -> str:
    """The singular of an English noun, by rule."""
    if noun.endswith("ies") and len(noun) > 4 and noun not in ("movies", "series", "cookies"):
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "ches", "shes")):
        return noun[:-2]
    if noun.endswith("s") and not noun.endswith(("ss", "us", "is", "news", "series")):
        return noun[:-1]
    return noun


def plural(noun: str) -> str:
    """The plural of an English noun, by rule."""
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun + "s"


def with_article(phrase: str) -> str:
    """The phrase behind "a" or "an"."""
    first = phrase.split()[0].lower() if phrase.split() else ""
    vowel = (first[:1] in tuple("aeiou") and not first.startswith(("uni", "use", "eu", "one"))) or first.startswith(
        "hour"
    )
    return f"{'an' if vowel else 'a'} {phrase}"


def addressed(text: str) -> str:
    """The text as said to the person who wrote it: "my plants" are "your plants"."""
    return re.sub(r"[\w']+", lambda word: SECOND_PERSON.get(word[0].lower(), word[0]), text)


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def uncapitalized(text: str) -> str:
    first = text.split(" ", 1)[0]
    return (
        text if first in KEPT_AS_TYPED or (not first[1:].islower() and len(first) > 1) else text[:1].lower() + text[1:]
    )


@dataclass(frozen=True)
class Idea:
    """A requirement. text: its words on one line; revisions: what people asked for since, in order."""

    text: str
    revisions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Idea":
        """The idea of a requirement as typed, or of what `dump` wrote: parse(idea.dump()) == idea."""
        words, *revisions = re.split(rf"\n\s*{REVISION_LINE}", text)
        return cls(one_line(words, TEXT_LIMIT)).revised(*revisions)

    def dump(self) -> str:
        return "\n".join([self.text, *(REVISION_LINE + revision for revision in self.revisions)])

    def revised(self, *revisions: str) -> "Idea":
        """This idea and what is asked for in addition; words said before are not added again."""
        lines = (one_line(revision, REVISION_LIMIT) for revision in revisions)
        return replace(self, revisions=tuple(dict.fromkeys([*self.revisions, *filter(None, lines)])))

    @cached_property
    def _wish(self) -> list[str]:
        """The sentences from the first that asks for something on, without its "Please build me" and the like."""
        sentences = [sentence for sentence in SENTENCE_END.split(self.text) if sentence]
        for n, sentence in enumerate(sentences):
            if wish := _without_lead_in(sentence):
                return [wish, *sentences[n + 1 :]]
        return sentences or [""]

    @cached_property
    def _head(self) -> str:
        """The noun phrase, or the verb and its object, that the wish begins with: "a to-do list app"."""
        sentence = self._wish[0]
        for cut in CONNECTOR.finditer(sentence):
            head = plain(sentence[: cut.start()], TITLE_LIMIT)
            if [word for word in head.split() if word.lower() not in DETERMINERS]:
                return head
        return plain(sentence, TITLE_LIMIT)

    @cached_property
    def _clauses(self) -> list[str]:
        """What follows the head in the first sentence: ["with due dates"]."""
        sentence = self._wish[0]
        rest = plain(sentence, TEXT_LIMIT).removeprefix(self._head)
        clauses: list[str] = []
        for clause in filter(None, (plain(part, FEATURE_LIMIT) for part in re.split(r",\s+(?:and\s+)?", rest))):
            # "with tags, due dates": what has no connector of its own shares the one before.
            if CLAUSE.match(clause):
                clauses.append(clause)
            elif clauses:
                clauses.append(f"{clauses[-1].split()[0]} {clause}")
        return clauses

    @cached_property
    def _vague(self) -> bool:
        """Whether the head says nothing without its clause, as in "an app to track my plants"."""
        return bool(self._clauses) and set(self._head.lower().split()) <= VAGUE | ADJECTIVES | DETERMINERS

    @cached_property
    def clauses(self) -> list[str]:
        """What the first sentence asks for beyond `thing`: "with due dates" belongs behind it."""
        return [addressed(clause) for clause in self._clauses[self._vague :]][:FEATURES_LIMIT]

    @cached_property
    def sentences(self) -> list[str]:
        """What the sentences after the first ask for."""
        sentences = [plain(addressed(sentence), FEATURE_LIMIT) for sentence in self._wish[1:]]
        return [sentence for sentence in sentences if len(sentence.split()) > 2][:FEATURES_LIMIT]

    @cached_property
    def title(self) -> str:
        """A few of the idea's own words: "Command line game of hangman"."""
        words = self._head.split()
        if words and words[0].lower() in DETERMINERS:
            words = words[1:]
        title = " ".join(words)
        if self._vague:
            title = f"{title} {self._clauses[0]}"
        return capitalized(plain(addressed(title), TITLE_LIMIT)) or "Small surprise"

    @cached_property
    def thing(self) -> str:
        """The idea as a noun phrase with its article: "a command line game of hangman"."""
        head = addressed(self._head)
        words = head.lower().split()
        if not words:
            return "a small program"
        if self._vague:
            head = f"{head} {addressed(self._clauses[0])}"
        if words[0] in DETERMINERS and len(words) > 1:
            return uncapitalized(head)
        if words[0] in VERBS and len(words) > 1:
            return f"a program to {uncapitalized(head)}"
        core = re.split(r"\s(?:of|for|in|on|about|from)\s", " ".join(words))[0].split()
        if core[-1] in HEAD_NOUNS and head.isascii():
            return with_article(uncapitalized(head))
        return f"a program for “{self.title}”"

    @cached_property
    def noun(self) -> str:
        """What a catalogue for this idea holds, in the singular: "plant" for "an app to track my plants"."""
        if self.thing.endswith("”") and len(self._head.split()) > 2:  # it may not even be English
            return "entry"
        text = f"{self._head} {self._clauses[0] if self._clauses else ''}".lower().replace("\u2019", "'")
        if collected := COLLECTING.search(text):
            if noun := _noun_of(collected[1].split()):
                return noun
        core, *others = re.split(r"\s(?:of|for|about|like|between|from|in|on)\s", self._head.lower())
        for words in (core.split(), *(other.split() for other in others)):
            while words and words[-1] in HEAD_NOUNS - {"game"}:
                words.pop()
            if noun := _noun_of([word for word in words if word not in VAGUE - {"game"} | VERBS], last=True):
                return noun
        return "entry"

    @cached_property
    def slug(self) -> str:
        """A safe name for a folder: lower-case ASCII words joined by underscores."""
        ascii_title = unicodedata.normalize("NFKD", self.title).encode("ascii", "ignore").decode().lower()
        slug = "_".join(re.findall(r"[a-z0-9]+", one_line(ascii_title, 32)))
        return slug if slug and not slug[0].isdigit() else f"project_{slug}".strip("_")


def _without_lead_in(sentence: str) -> str:
    """What a sentence asks for; an empty string if it does not begin as a request."""
    wish = sentence
    for _ in range(4):
        wish = LEAD_IN.sub("", wish, count=1) if LEAD_IN.match(wish) else wish
    wish = (MAKE.sub("", wish, count=1) if MAKE.match(wish) else wish) or wish
    return "" if wish == sentence else wish


def _noun_of(words: list[str], *, last: bool = False) -> str:
    """The noun, of two words at most, that a list of words begins with (or ends with)."""
    phrase: list[str] = []
    for word in (word.removesuffix("'s").strip("'-") for word in words):
        if not re.fullmatch(r"[a-z][a-z-]{1,19}", word) or word in SMALL_WORDS | DETERMINERS | SECOND_PERSON.keys():
            if phrase and not last:
                break
            continue
        if word in ADJECTIVES or CLAUSE.match(word + " "):
            if phrase and not last:
                break
            continue
        phrase.append(word)
    nouns = [word for word in phrase if not word.endswith("ing")] or phrase
    nouns = nouns[-2:] if last else nouns[:2]
    return " ".join([*nouns[:-1], singular(nouns[-1])]) if nouns else ""
