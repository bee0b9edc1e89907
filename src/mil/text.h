// The text form of a program: read by people, by golden tests and by pass tests.
//
//   func @forward(%x: fp16[1,32,64], %mask: fp16[1,32,127]) opset "CoreML8" {
//     %w: int4[64,64] = random(7)                   // larger constants are declared
//     %m: fp16[1,32,64] = mul(x=%x, y=%x)
//     %r: fp16[1,32,1] = reduce_mean(x=%m, axes=int32[1](-1), keep_dims=bool(true))
//     %c: fp16[1,32,64] = concat(values=[%m], axis=int32(-1), interleave=bool(false))
//     %i: int16[2] = cast(x=int32[2](3,4), dtype="int16")
//     %a: fp16[1,32,32], %b: fp16[1,32,32] = split(x=%c, axis=int32(-1), num_splits=int32(2))
//     return %a, %b
//   }
//
// Constants of up to 16 elements stand inline where they are used. One that is used twice stands
// twice, and is two constants when parsed. Larger ones, and outputs of the function, are declared
// before the operations. The right side of a declaration is a literal like the inline ones,
// `zeros`, `random(seed)`, `iota`, or `blob("name")` for contents that the text does not hold.
// print() names a blob by the first 8 bytes of its contents' digest in hex.
//
// Grammar (print() writes it canonically: one line per statement, two spaces of indent, operands in
// the order of the op table):
//   program   = { function }
//   function  = "func" @name "(" [ decl { "," decl } ] ")" "opset" string
//               "{" { statement } "return" [ %name { "," %name } ] "}"
//   decl      = %name ":" type
//   type      = dtype [ "[" dim { "," dim } "]" ]
//   statement = decl "=" constant
//             | [ decl { "," decl } "=" ] op "(" [ operand { "," operand } ] ")"
//   constant  = literal | "zeros" | "iota" | "random" "(" seed ")" | "blob" "(" string ")"
//   operand   = param "=" ( use | "[" use { "," use } "]" )         // brackets: variadic ones
//   use       = %name | literal
//   literal   = string | type "(" [ element { "," element } ] ")"
// Elements are integers, true and false, or floats: decimal in as few digits as give the same bits,
// inf, -inf, nan, or raw bits as 0x7e01. Strings have \", \\ and \xHH as escapes. Names other than
// letters, digits, '_' and '.' are quoted: %"a b". `//` starts a comment.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "mil/ir.h"

namespace diptych::mil {

std::string print(const Function& function);
std::string print(const Program& program);

// Returns the contents of `blob("name")` when text is parsed. Null refuses blobs.
using BlobLookup = std::function<Result<WeightRef>(std::string_view name, const TensorType& type)>;

// Parses the text form. On success the program has passed verify(); operations outside the table
// are kept as they stand. Inline constants get made-up names ("r_axes_0"). For canonical text,
// print(parse(text)) == text. Memory is bounded by the size of the text. Errors name line and
// column.
Result<Program> parse(std::string_view text, const BlobLookup& blobs = nullptr);

}  // namespace diptych::mil
