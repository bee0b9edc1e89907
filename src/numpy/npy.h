// NumPy's files: .npy holds one array, .npz a zip of them.
//
//   .npy   0   "\x93NUMPY", version u8 u8     version 1: u16 header size, 2 and 3: u32
//          8   header size | header | data    header: a Python dict with descr, fortran_order,
//          shape
// Source: numpy/lib/format.py. Arrays of little-endian numbers are read, in C or Fortran order, and
// are in C order then.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/stream.h"
#include "tensor/type.h"

namespace diptych::numpy {

struct Array {
  TensorType type;              // bool, integers of 8 to 64 bits, fp16, fp32, fp64
  std::vector<std::byte> data;  // packed
};
using Arrays = std::map<std::string, Array>;

// Reads the contents of a .npy file. Errors: InvalidData for what is damaged; Unsupported for other
// types, with what to do.
Result<Array> parse_npy(Bytes bytes);
// Reads the contents of a .npz file, by the names that its arrays have in Python. Entries may be
// stored or deflated (numpy.savez_compressed).
Result<Arrays> parse_npz(Bytes bytes);
Result<Array> read_npy(const std::string& path);
Result<Arrays> read_npz(const std::string& path);

// The contents of a .npy file.
std::vector<std::byte> format_npy(const Array& array);
// Writes the contents of a .npz file of stored entries, in the order given; names differ.
Status write_npz(const std::vector<std::pair<std::string, const Array*>>& arrays, Sink& sink);

// The array with elements of another type. Errors: the first element that the type cannot hold,
// with its index: a fraction or another range for integers, anything but 0 and 1 for bool. Floats
// are rounded; a finite one must stay finite.
Result<Array> converted(const Array& array, DType dtype);

}  // namespace diptych::numpy
