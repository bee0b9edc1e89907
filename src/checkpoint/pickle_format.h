// The pickle opcodes that state dicts consist of; the reader accepts these and the writer uses some
// of them (CPython's pickletools).
#pragma once

#include <cstdint>

namespace diptych::checkpoint {

enum class PickleOp : uint8_t {
  Mark = '(',
  Stop = '.',
  BinFloat = 'G',
  BinInt = 'J',
  BinInt1 = 'K',
  BinInt2 = 'M',
  None = 'N',
  BinPersId = 'Q',
  Reduce = 'R',
  BinUnicode = 'X',
  EmptyList = ']',
  Append = 'a',
  Build = 'b',
  Global = 'c',
  Appends = 'e',
  BinGet = 'h',
  LongBinGet = 'j',
  BinPut = 'q',
  LongBinPut = 'r',
  SetItem = 's',
  Tuple = 't',
  EmptyTuple = ')',
  SetItems = 'u',
  EmptyDict = '}',
  Proto = 0x80,
  Tuple1 = 0x85,
  Tuple2 = 0x86,
  Tuple3 = 0x87,
  NewTrue = 0x88,
  NewFalse = 0x89,
  Long1 = 0x8A,
  ShortBinUnicode = 0x8C,
  BinUnicode8 = 0x8D,
  StackGlobal = 0x93,
  Memoize = 0x94,
  Frame = 0x95,
};

}  // namespace diptych::checkpoint
