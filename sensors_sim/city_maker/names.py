"""Names of a made-up city, in Chinese and English: put together from two words each, by a seed."""

import numpy as np

from config.vocabulary import LocalText

# fmt: off
_FIRST = (
    ("云", "Yun"), ("榕", "Rong"), ("松", "Song"), ("柳", "Liu"), ("梅", "Mei"), ("兰", "Lan"), ("竹", "Zhu"),
    ("菊", "Ju"), ("荷", "He"), ("枫", "Feng"), ("桂", "Gui"), ("槐", "Huai"), ("杏", "Xing"), ("桃", "Tao"),
    ("梨", "Li"), ("石", "Shi"), ("金", "Jin"), ("银", "Yin"), ("玉", "Yu"), ("青", "Qing"), ("白", "Bai"),
    ("红", "Hong"), ("紫", "Zi"), ("碧", "Bi"), ("清", "Qing"), ("明", "Ming"), ("晨", "Chen"), ("晴", "Qing"),
    ("星", "Xing"), ("月", "Yue"), ("霞", "Xia"), ("雪", "Xue"), ("鹿", "Lu"), ("鹤", "He"), ("燕", "Yan"),
    ("鹭", "Lu"), ("龙", "Long"), ("凤", "Feng"), ("福", "Fu"), ("安", "An"), ("和", "He"), ("平", "Ping"),
    ("永", "Yong"), ("长", "Chang"), ("新", "Xin"), ("文", "Wen"), ("书", "Shu"), ("锦", "Jin"),
)
_SECOND = (
    ("桥", "qiao"), ("溪", "xi"), ("山", "shan"), ("湖", "hu"), ("河", "he"), ("塘", "tang"), ("泉", "quan"),
    ("井", "jing"), ("湾", "wan"), ("洲", "zhou"), ("岭", "ling"), ("坡", "po"), ("谷", "gu"), ("岩", "yan"),
    ("林", "lin"), ("园", "yuan"), ("苑", "yuan"), ("亭", "ting"), ("台", "tai"), ("楼", "lou"), ("塔", "ta"),
    ("门", "men"), ("坊", "fang"), ("村", "cun"), ("庄", "zhuang"), ("营", "ying"), ("堡", "pu"), ("关", "guan"),
    ("渡", "du"), ("港", "gang"), ("埠", "bu"), ("口", "kou"), ("田", "tian"), ("禾", "he"), ("花", "hua"),
    ("叶", "ye"), ("帆", "fan"), ("风", "feng"), ("光", "guang"), ("阳", "yang"),
)
_BEFORE = (
    ("", ""), ("东", "Dong"), ("西", "Xi"), ("南", "Nan"), ("北", "Bei"), ("上", "Shang"), ("下", "Xia"),
    ("前", "Qian"), ("后", "Hou"), ("大", "Da"), ("小", "Xiao"), ("老", "Lao"), ("中", "Zhong"),
)
# fmt: on

SECTION = 24
"""Blocks after which a long street has another name."""


class Names:
    """Names by number: no two the same among the first 20,000."""

    def __init__(self, rng: np.random.Generator) -> None:
        pairs = rng.permutation(len(_FIRST) * len(_SECOND)).tolist()
        words = [(_FIRST[pair // len(_SECOND)], _SECOND[pair % len(_SECOND)]) for pair in pairs]
        self._words: list[LocalText] = []
        taken: set[str] = set()  # 清, 青 and 晴 are spelled alike
        for (first_zh, first_en), (second_zh, second_en) in words:
            if first_en + second_en not in taken:
                taken.add(first_en + second_en)
                self._words.append(LocalText(first_zh + second_zh, first_en + second_en))

    def __getitem__(self, number: int) -> LocalText:
        """The name with a number."""
        turn, which = divmod(number, len(self._words))
        before_zh, before_en = _BEFORE[turn % len(_BEFORE)]
        word = self._words[which]
        return LocalText(before_zh + word.zh, before_en + word.en.lower() if before_en else word.en)


class Roads:
    """Names of the streets: those of the net by line and section, lanes by their block."""

    def __init__(self, names: Names, main_rows: list[bool], main_columns: list[bool]) -> None:
        self._names = names
        self._main = (main_rows, main_columns)
        self._sections = (len(main_columns) // SECTION + 1, len(main_rows) // SECTION + 1)
        self._known: dict[tuple[int, int, int], LocalText] = {}

    def along_row(self, line: int, column: int) -> LocalText:
        """The street on a line between rows of blocks, at a column."""
        return self._road(0, line, column // SECTION)

    def along_column(self, line: int, row: int) -> LocalText:
        """The street on a line between columns of blocks, at a row."""
        return self._road(1, line, row // SECTION)

    def _road(self, way: int, line: int, section: int) -> LocalText:
        key = (way, line, section)
        if key not in self._known:
            before = 0 if way == 0 else len(self._main[0]) * self._sections[0]
            name = self._names[before + line * self._sections[way] + section]
            zh, en = ("大道", "Avenue") if self._main[way][line] else ("路", "Road") if way == 0 else ("街", "Street")
            self._known[key] = LocalText(name.zh + zh, f"{name.en} {en}")
        return self._known[key]
