"""Guess the encoding of text that is not Unicode, by the frequencies of letters in the languages that it serves.

General detectors need more text than the sentence of a transcript. Letters are ordered by frequency, and the frequency
of the letter at rank r of n is taken as log((n + 1) / r) / n (Gusein-Zade's law).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from fishtui.wording import shortened

# Letters of languages, the most frequent first.
LETTERS = {
    "ru": "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё",
    "uk": "оанивіетрсклумдпязьбгйчхцїжюєшфщґ",
    "bg": "аеиотнрсвлкдпмъзгубчщящйхжцшюфь",
    "sr": "аоиенрсјтукдвлмпзгбњчшжцћљђхџф",
    "el": "αοιετνσηρπκμλςίόυέάγδήώχύθφωβξζψΐϊ",
    "he": "יוהלאתרמבשנקדחפעםטכגסזןצץףך",
    "ar": "الينموربتعدةسقفحكهجشطىأصخضإذئزثغءظآؤ",
    "th": "าน้รกอ่เงมยวลดสตทคปพบะหข์แไใจชโีิัุู็ำึื๊ซศผถณธภษฉญฟฝๆฯ",
    "en": "etaoinshrdlcumwfgypbvkjxqz",
    "fr": "eaistnrulodcmépvqfbghjàxèyêçzkwâîôùûœïëü",
    "de": "enisratdhulcgmobwfkzüväpöjßyxq",
    "es": "eaosrnidlctumpbgvóyqhífjzáéñxúükw",
    "pt": "aeosridmntcupglvhãqbfézçájxêóíàõôúâkwy",
    "it": "eaionlrtscdupmvghfbqzòàùìéèkwxyj",
    "sv": "eanrtsildomgkvhfäupåöbcyjxwzq",
    "da": "enrtdaisglomkvfhupbøåæyjcxwzq",
    "fi": "aintesloukämvrjhypdögbfcwåqzx",
    "et": "aiestlunkomdrvghäjõpübyöfšžc",
    "is": "arniestuðlgmkvfhoáþídjbéópyúöæýx",
    "pl": "iaeoznrwsycktdpmujlłbgęhąóżśćfńźvxq",
    "cs": "eoantivlsrdkumpíchzyjáběéřžčšýgůúfťóňďxwq",
    "sk": "aoeinrtsvlkdmcupzhjbyáčéíšžýúťľgňôďfäóŕĺxwq",
    "hu": "etanlskirozgámévybdpjhufcőóöüúíűxwq",
    "hr": "aioenrsjtukdvlmpgzbčšcžćhđfwxyq",
    "ro": "eiaurtnlcodsmpăfvgbâșțîhzjxkwyqşţ",
    "tr": "aeinrlıdkmuytsboüşzgçhğvcöpfjâîwxq",
    "lt": "iasotrenukmlpvdjgbyėšžąųįčzcfūęhx",
    "sq": "ëtieanrshoumdkjlpvgzybfqçcx",
    "tk": "aeiynrdlýmsgtkboüzhçjşöpwäňfžuv",
    "lv": "aistreunkmoālpdvīzēcjgšņbūģļfķžčhx",
}
ZH = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种"
    "事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民"
    "第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话"
    "合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神"
    "总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听"
    "白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导"
    "争运笔请谢早晨出发车站房间房孩玩公园钱京首都哪"
)
ZT = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家種"
    "事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民"
    "第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話"
    "合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神"
    "總何電數安少報才結反受目太量再感建務做接必場件計管期市直德資命山金指克許統區保至隊形社便空決治展馬科司五基眼書非則聽"
    "請謝早車站房孩玩園錢臺灣北哪歡迎"
)
JA = (
    "のにはをたがでてとしれさあいるかなもっらりこうすまきよくけそどんだえわみおせつちめやばずろむほべごぎじげぶぐへざょゃ"
    "ゅひびふねぬゆーンスルトリイアラクシレドジタプコマロテカサメバキチフミデニオグウツナパハムブダエビモワペ"
    "日人一大国年本中出事生会上分行者時間前手自子地見方今私気何言思長東話下小来名学後入高書物"
)
KO = (
    "이다는을가에의고하은지로한사기나도를아어리자시라그스서해인만있대정들전보제부주게수일으장여소과상오조우원니면와구거"
    "안습요저없말것성실때같당생내중되동선미공위까네마신모세적했유계진방트화관물무문경민연음드심었금간설영회학예레비두운"
    "분식려개크호남국더얼머단바르타감치교술날씨좋집차행야역디침출발놀울불"
)
# Blocks of characters in lists of a national standard: encoding, and first and last of its first bytes.
BLOCKS = {"zh": ("gb2312", 0xB0, 0xD7), "zt": ("big5", 0xA4, 0xC6), "ja": ("euc_jp", 0xB0, 0xCF)}
BLOCKS["ko"] = ("euc_kr", 0xB0, 0xC8)
COMMON = {"zh": ZH, "zt": ZT, "ja": JA, "ko": KO}

# Encodings, with the languages that they serve and their names for iconv. If several read the same, the first
# is named.
WESTERN = ("en", "fr", "de", "es", "pt", "it", "sv", "da", "fi", "is")
CENTRAL = ("pl", "cs", "sk", "hu", "hr", "ro", "de")
CYRILLIC = ("ru", "uk", "bg", "sr")
ENCODINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cp1252": ("WINDOWS-1252", WESTERN),
    "cp1251": ("WINDOWS-1251", CYRILLIC),
    "koi8_r": ("KOI8-R", ("ru",)),
    "koi8_u": ("KOI8-U", ("uk",)),
    "gb18030": ("GB18030", ("zh",)),
    "big5": ("BIG5", ("zt",)),
    "cp932": ("CP932", ("ja",)),
    "euc_jp": ("EUC-JP", ("ja",)),
    "cp949": ("CP949", ("ko",)),
    "cp1250": ("WINDOWS-1250", CENTRAL),
    "iso8859_2": ("ISO-8859-2", CENTRAL),
    "iso8859_16": ("ISO-8859-16", ("ro",)),
    "cp1253": ("WINDOWS-1253", ("el",)),
    "iso8859_7": ("ISO-8859-7", ("el",)),
    "cp1254": ("WINDOWS-1254", ("tr",)),
    "cp1255": ("WINDOWS-1255", ("he",)),
    "cp1256": ("WINDOWS-1256", ("ar",)),
    "iso8859_6": ("ISO-8859-6", ("ar",)),
    "cp874": ("CP874", ("th",)),
    "cp1257": ("WINDOWS-1257", ("lt", "lv", "et")),
    "cp866": ("CP866", CYRILLIC),
    "iso8859_5": ("ISO-8859-5", CYRILLIC),
    "mac_cyrillic": ("MAC-CYRILLIC", CYRILLIC),
    "mac_roman": ("MACINTOSH", WESTERN),
    "cp850": ("CP850", WESTERN),
    "cp852": ("CP852", CENTRAL),
}

# Encodings of the systems that most people use; the logarithm of how much rarer the others are.
FREQUENT = frozenset(ENCODINGS) - {"iso8859_5", "iso8859_6", "iso8859_7", "iso8859_16", "koi8_u", "euc_jp", "cp866"}
FREQUENT -= {"mac_cyrillic", "mac_roman", "cp850", "cp852"}
SELDOM = 2.0
# Logarithms of the probabilities of characters, and of penalties.
ASCII_LETTER = math.log(1 / 500)  # in a language with another script
SPACE, DIGIT, MARK, QUOTE = math.log(1 / 8), math.log(1 / 60), math.log(1 / 25), math.log(1 / 150)
SYMBOL, RARE, FOREIGN = math.log(1 / 4000), math.log(3e-6), math.log(1e-7)
CAPITAL, CAPITALS, CAPITAL_INSIDE, MARK_INSIDE, SCRIPTS_JOINED = -1.0, -1.3, -7.0, -4.0, -3.0
QUOTES = frozenset("«»“”„‚’‘‹›–—…¿¡\xa0\u202f")
SYMBOLS = frozenset("°§©®€£½¼¾±²³№·•")
# These rarely follow a letter, and those rarely precede one.
OPENING = SYMBOLS | frozenset("„‚“«¿¡")
CLOSING = SYMBOLS | frozenset("”»")
EAST_ASIAN_MARKS = frozenset("。，、？！：；「」『』《》（）・～　…—“”")

# Enough to distinguish encodings; in bytes.
MOST_BYTES = 4096
LONGEST_CHARACTER = 4
# For each byte: bytes that are less likely than this are not a text.
LEAST = -7.0
# A reading is certain if the next one is less likely by this.
CERTAIN = 5.0


class Reading(NamedTuple):
    """A text as an encoding shows it: Python's name of the encoding, iconv's, and a logarithm of its likelihood."""

    encoding: str
    name: str
    text: str
    likelihood: float


def describe_encoding(content: bytes) -> str:
    """Return the likely encoding of text that is not UTF-8, how it reads, and the command that converts it.

    The result is empty if the bytes look like no text in a known encoding.
    """
    found = guess(content)
    return f"{describe(found)}: iconv -f {found[0].name} -t UTF-8" if found else ""


def describe(found: Sequence[Reading]) -> str:
    """Return the names of likely encodings, the most likely first, each with the beginning of the text."""
    return "probably " + " or ".join(f"{each.name} ({shortened(' '.join(each.text.split()), 30)})" for each in found)


def guess(content: bytes) -> list[Reading]:
    """Return the most likely reading of text that is not UTF-8, and the second if it is almost as likely."""
    found = readings(content[:MOST_BYTES])
    if not found or found[0].likelihood < LEAST * len(content[:MOST_BYTES]):
        return []
    return [each for each in found[:2] if each.likelihood > found[0].likelihood - CERTAIN]


def readings(content: bytes) -> list[Reading]:
    """Return the readings of text in all encodings that have characters for its bytes, the most likely first."""
    found: dict[str, Reading] = {}
    for encoding, (name, languages) in ENCODINGS.items():
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            # The end of a long text may have been cut inside a character.
            if len(content) < MOST_BYTES or error.start < MOST_BYTES - LONGEST_CHARACTER:
                continue
            text = content[: error.start].decode(encoding)
        reading = Reading(encoding, name, text, likelihood(text, languages) - (encoding not in FREQUENT) * SELDOM)
        before = found.get(text, reading)
        found[text] = before._replace(likelihood=max(before.likelihood, reading.likelihood))
    return sorted(found.values(), key=lambda each: -each.likelihood)


def likelihood(text: str, languages: Iterable[str]) -> float:
    """Return the logarithm of the likelihood of a text in the language among these that fits it best."""
    by_script: dict[bool, float] = {}
    for language in languages:
        letters = _letters(language)
        total = sum(map(letters.__getitem__, text))
        by_script[letters.is_latin] = max(by_script.get(letters.is_latin, -math.inf), total)
    return max(total + _joints(text, is_latin) for is_latin, total in by_script.items())


def _joints(text: str, is_latin: bool) -> float:
    """Return the penalties for neighbours that words rarely have."""
    total, before = 0.0, " "
    for character in text:
        if character.isalpha():
            if character.isupper():
                total += CAPITALS if before.isupper() else CAPITAL_INSIDE if before.islower() else CAPITAL
            if not is_latin and before.isalpha() and character.isascii() != before.isascii():
                total += SCRIPTS_JOINED
            if before in CLOSING:
                total += MARK_INSIDE
        elif character in OPENING and before.isalpha():
            total += MARK_INSIDE
        before = character
    return total


class _Letters(dict[str, float]):
    """The logarithms of the probabilities of characters in a language; others than its letters are added when used."""

    def __init__(self, letters: Mapping[str, float], is_latin: bool, is_east_asian: bool) -> None:
        super().__init__(letters)
        self.is_latin = is_latin
        self._is_east_asian = is_east_asian

    def __missing__(self, character: str) -> float:
        self[character] = found = self._other(character)
        return found

    def _other(self, character: str) -> float:
        lower = character.lower()
        if lower != character and lower in self:
            return self[lower]
        if character.isascii():
            if character.isalpha():
                return ASCII_LETTER
            return SPACE if character == " " else DIGIT if character.isdigit() else MARK
        if self._is_east_asian:
            if character in EAST_ASIAN_MARKS:
                return MARK
            if "\u3400" <= character <= "\ud7a3":
                return RARE
        return QUOTE if character in QUOTES else SYMBOL if character in SYMBOLS else FOREIGN


@cache
def _letters(language: str) -> _Letters:
    if language in LETTERS:
        order = LETTERS[language]
        count = len(order)
        known = {letter: math.log(math.log((count + 1) / rank) / count) for rank, letter in enumerate(order, 1)}
        return _Letters(known, "e" in known, False)
    encoding, first, last = BLOCKS[language]
    block = bytes(byte for lead in range(first, last + 1) for trail in range(0x40, 0xFF) for byte in (lead, trail))
    common = list(dict.fromkeys(COMMON[language]))
    # Zipf's law, flatter for the most frequent ones.
    scale = 0.7 / math.log(1 + len(common) / 20)
    known = dict.fromkeys(block.decode(encoding, "ignore"), math.log(0.3 / 3500))
    known |= {each: math.log(scale / (rank + 20)) for rank, each in enumerate(common)}
    return _Letters(known, False, True)
