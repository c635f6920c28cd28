"""Makes ../../unicode.txt, what Hugging Face's tokenizers library knows of Unicode, and digests.json, by which tests compare.

Run it with that library (0.22.2 made these files) in this folder; the same version makes the same files. Sets of characters are those that
its regular expressions match (Unicode 16); the last lines have those that its normal forms know (Unicode 9), and those that are numbers to its
pre-tokenizer Digits (Unicode 17). digests.json has what it
makes of a text of all characters, and of each between others.
"""
import hashlib
import json

from tokenizers import Regex, normalizers, pre_tokenizers

CHARACTERS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, CHARACTERS))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
SCRIPTS = """Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille
Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan
Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek
Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi
Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha
Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek
Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue
Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian
Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang
Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog
Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho
Warang_Citi Yezidi Yi Zanabazar_Square""".split()
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "scripts": r"\p{Han}+|\p{Latin}+|\p{Arabic}+|[\p{Hiragana}\p{Katakana}]+|\P{L}",
    "white space": r"\s+",
    "digits": r"\d+",
}


def ranges(characters):
    runs = []
    for c in characters:
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return " ".join(f"{a:X}" if a == b else f"{a:X}-{b:X}" for a, b in runs)


def matched(pattern):
    for _, (start, end) in pre_tokenizers.Split(Regex(pattern + "+"), "removed", invert=True).pre_tokenize_str(TEXT):
        yield from CHARACTERS[start:end]


def known():
    """Characters to which the library's normal forms do something: they decompose, or have a combining class."""
    nfd, nfkd = normalizers.NFD().normalize_str, normalizers.NFKD().normalize_str
    for c in CHARACTERS:
        among = "\u0315" + chr(c) + "\u0334"  # a mark of class 232 before it, one of class 1 behind it
        if nfkd(chr(c)) != chr(c) or nfd(among) != among:
            yield c


def numeric():
    """Characters that the Digits pre-tokenizer takes for numbers: it takes turns with others, which come first."""
    for _, (start, end) in pre_tokenizers.Digits(False).pre_tokenize_str(TEXT)[1::2]:
        yield from CHARACTERS[start:end]


def digest(parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() + b"\0")
    return total.hexdigest()


def split_digest(splitter):
    return digest(part for part, _ in splitter.pre_tokenize_str(TEXT))


def main():
    lines = [name + " " + ranges(matched(r"\p{%s}" % name)) for name in CATEGORIES + SCRIPTS]
    lines.append("known " + ranges(known()))
    lines.append("numeric " + ranges(numeric()))
    with open("../../unicode.txt", "w") as f:
        f.write("\n".join(lines) + "\n")
    digests = {name: split_digest(pre_tokenizers.Split(Regex(pattern), "isolated")) for name, pattern in PATTERNS.items()}
    digests["Digits"] = split_digest(pre_tokenizers.Digits(False))
    digests["WhitespaceSplit"] = split_digest(pre_tokenizers.WhitespaceSplit())
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        change = getattr(normalizers, form)().normalize_str
        digests[form] = digest(change(chr(c)) for c in CHARACTERS)
        digests[form + " among marks"] = digest(change("a\u0315" + chr(c) + "\u0334\u0301") for c in CHARACTERS)
    with open("digests.json", "w") as f:
        json.dump({"patterns": PATTERNS, "digests": digests}, f, indent=1)


main()
