// Cells: how values are held while a function runs. Every element of an intermediate value takes
// one aligned 4-byte cell: a float for the float types, an int32 for bool and the integers. So
// arithmetic is written for two types, and operations that only move elements for one. Only weights
// and the caller's inputs and outputs keep their declared, packed form, at any address.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/type.h"

namespace diptych::engine {

inline constexpr int64_t kCellSize = 4;

// Whether the engine can hold values of a type: fp16, fp32, bool, int8, int16, int32, uint8,
// uint16.
bool has_cells(DType dtype);
// True when packed elements of the type are cells already, where the address allows it.
bool is_cell(DType dtype);

// Bytes of one packed element of a type that has cells.
uint64_t element_size(DType dtype);

// Packed elements to cells, exactly. bool gives 0 or 1.
void widen(DType dtype, const std::byte* packed, uint64_t count, std::byte* cells);

// Cells to packed elements. Floats are rounded to the type, integers wrap, and bool is 1 for any
// other number than 0. Returns how many finite floats became infinite.
uint64_t narrow(DType dtype, const std::byte* cells, uint64_t count, std::byte* packed);

// An integer as a value of the type: wrapped to its width; for bool, 1 unless it is 0.
int32_t wrap(DType dtype, int64_t value);

// A cell that holds a number as a type has it; of integers, 0 for what is far beyond them.
uint32_t cell_of(DType dtype, double value);

}  // namespace diptych::engine
