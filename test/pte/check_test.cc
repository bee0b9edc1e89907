#include "pte/check.h"

#include <gmock/gmock.h>

#include "pte/writer.h"
#include "sample.h"
#include "testing/shared_data.h"

namespace diptych::pte {
namespace {

using ::testing::HasSubstr;

struct Damage {
  std::string what;
  std::function<void(Program&)> apply;
  std::string expected;
};

Tensor& tensor(Program& program, size_t index) {
  return std::get<Tensor>(program.methods[0].values[index]);
}

// One rule each; methods[0] is "kernels", methods[1] is "forward" of sample_program().
const std::vector<Damage>& damages() {
  static const std::vector<Damage> kDamages = {
      {"duplicate method", [](Program& p) { p.methods[1].name = std::string("kernels"); },
       "method name 'kernels' occurs twice"},
      {"empty method name", [](Program& p) { p.methods[0].name.clear(); }, "method name is empty"},
      {"NUL in a method name", [](Program& p) { p.methods[0].name = std::string("a\0b", 3); },
       "is not text"},
      {"method name not UTF-8", [](Program& p) { p.methods[0].name = std::string("\xC3"); },
       "is not text"},
      {"duplicate key", [](Program& p) { p.named_data[1].key = std::string("first"); },
       "named-data key 'first' occurs twice"},
      {"no placeholder", [](Program& p) { p.constants.clear(); }, "constant 0 is a placeholder"},
      {"input index", [](Program& p) { p.methods[0].inputs = {16}; }, "value 16 does not exist"},
      {"output index", [](Program& p) { p.methods[0].outputs = {-1}; }, "value -1 does not exist"},
      {"negative size", [](Program& p) { tensor(p, 0).sizes[0] = -1; }, "size -1 is out of range"},
      {"product of sizes",
       [](Program& p) {
         tensor(p, 0).sizes = {1 << 30, 1 << 30, 1 << 30};
       },
       "[1073741824"},
      {"bytes of a tensor",
       [](Program& p) {
         tensor(p, 0).scalar_type = ScalarType::Long;
         tensor(p, 0).sizes = {1 << 30, 1 << 30, 1 << 2};
       },
       "[1073741824"},
      {"rank", [](Program& p) { tensor(p, 0).sizes.assign(17, 1); }, "rank 17"},
      {"dim_order of another rank",
       [](Program& p) {
         tensor(p, 0).dim_order = {0, 1};
       },
       "does not name each axis"},
      {"dim_order twice the same",
       [](Program& p) {
         tensor(p, 0).dim_order = {0, 0, 1};
       },
       "does not name each axis"},
      {"scalar type", [](Program& p) { tensor(p, 0).scalar_type = ScalarType{9}; },
       "scalar type 9"},
      {"constant index", [](Program& p) { tensor(p, 1).data = 3; }, "constant 3 does not exist"},
      {"constant too small", [](Program& p) { tensor(p, 1).sizes[0] = 3; }, "takes 36 bytes"},
      {"state index", [](Program& p) { tensor(p, 4).data = 2; }, "initial state 2 does not exist"},
      {"memory id 0", [](Program& p) { tensor(p, 2).allocation->memory_id = 0; },
       "memory id 0 is reserved"},
      {"memory id", [](Program& p) { tensor(p, 2).allocation->memory_id = 3; },
       "arena 3 does not exist"},
      {"beyond the arena", [](Program& p) { tensor(p, 2).allocation->offset = 57; },
       "exceed arena 1"},
      {"offset that overflows",
       [](Program& p) { tensor(p, 2).allocation->offset = ~uint64_t{0} - 3; }, "exceed arena 1"},
      {"negative arena", [](Program& p) { p.methods[0].arena_sizes[0] = -1; },
       "an arena has -1 bytes"},
      {"device of no arena", [](Program& p) { p.methods[0].arena_devices[0].arena = 3; },
       "arena 3 does not exist"},
      {"int list", [](Program& p) { p.methods[0].values[11] = IntList{{int64_t{1} << 32}}; },
       "value 11: value 4294967296"},
      {"tensor list of an int", [](Program& p) { p.methods[0].values[14] = TensorList{{7}}; },
       "holds value 7"},
      {"tensor list of none", [](Program& p) { p.methods[0].values[14] = TensorList{{-1}}; },
       "value -1"},
      {"optional tensor list",
       [](Program& p) { p.methods[0].values[15] = OptionalTensorList{{-2}}; }, "value -2"},
      {"operator",
       [](Program& p) {
         p.methods[0].instructions[0] = KernelCall{2, {}};
       },
       "instruction 0: operator 2"},
      {"kernel argument",
       [](Program& p) {
         p.methods[0].instructions[0] = KernelCall{0, {99}};
       },
       "value 99"},
      {"delegate",
       [](Program& p) {
         p.methods[1].instructions[0] = DelegateCall{5, {}};
       },
       "method 'forward': instruction 0: delegate 5"},
      {"delegate argument",
       [](Program& p) {
         p.methods[1].instructions[0] = DelegateCall{0, {2}};
       },
       "value 2"},
      {"move",
       [](Program& p) {
         p.methods[0].instructions[1] = MoveCall{0, 16};
       },
       "value 16"},
      {"jump",
       [](Program& p) {
         p.methods[0].instructions[2] = JumpFalseCall{8, 5};
       },
       "instruction 5 does not exist"},
      {"free", [](Program& p) { p.methods[0].instructions[4] = FreeCall{-5}; }, "value -5"},
  };
  return kDamages;
}

TEST(CheckTest, AcceptsTheSample) { ASSERT_OK(check(sample_program())); }

TEST(CheckTest, RefusesEachDamage) {
  for (const Damage& damage : damages()) {
    SCOPED_TRACE(damage.what);
    Program program = sample_program();
    damage.apply(program);
    const Status status = check(program);
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().to_string(), HasSubstr(damage.expected));
    EXPECT_FALSE(write(program));
  }
}

}  // namespace
}  // namespace diptych::pte
