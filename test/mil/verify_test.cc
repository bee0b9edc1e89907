#include "mil/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mil/builder.h"
#include "testing/shared_data.h"

namespace diptych::mil {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// y = x * x; z = silu(y).
std::unique_ptr<Function> small_function() {
  Builder b(std::make_unique<Function>("f"));
  Value* x = b.input("x", {DType::F16, {2, 4}});
  Value* y = b.op("mul", {{"x", {x}}, {"y", {x}}}, "y");
  return b.finish({b.op("silu", {{"x", {y}}}, "z")}).value();
}

std::vector<std::string> findings(const Function& function, bool allow_unknown = false) {
  const Status status = verify(function, allow_unknown);
  return status ? std::vector<std::string>{} : status.error().items;
}

TEST(Verify, AcceptsWhatTheBuilderMakes) { ASSERT_OK(verify(*small_function())); }

TEST(Verify, ListsAllFindingsAtOnce) {
  auto f = small_function();
  f->find("y")->type.shape = {2, 5};
  f->find("z")->type.dtype = DType::F32;
  EXPECT_THAT(findings(*f),
              ElementsAre("@f: mul: %y is declared fp16[2,5], inferred is fp16[2,4]",
                          "@f: silu: %z is declared fp32[2,4], inferred is fp16[2,5]"));
}

TEST(Verify, UseBeforeDefinition) {
  auto f = small_function();
  std::swap(f->ops[0], f->ops[1]);
  EXPECT_THAT(findings(*f), ElementsAre("@f: silu %z: parameter 'x' uses %y before it is defined"));
}

TEST(Verify, ValuesOfAnotherFunction) {
  auto f = small_function();
  auto other = small_function();
  f->ops[1]->operands[0].values[0] = other->find("y");
  f->outputs = {other->find("z")};
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("uses %y before it is defined"),
                                        HasSubstr("output %z is not defined")));
}

TEST(Verify, BrokenLinks) {
  auto f = small_function();
  f->find("y")->producer = f->ops[1].get();
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("%y is result 0 of mul but not linked to it")));

  f = small_function();
  f->find("y")->name = "z";
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("%z is not the value of that name")));

  f = small_function();
  f->inputs.push_back(f->find("x"));
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("%x is defined twice")));

  f = small_function();
  f->ops[0]->results.push_back(nullptr);
  f->ops[1]->operands[0].values[0] = nullptr;
  f->outputs.push_back(nullptr);
  EXPECT_THAT(findings(*f),
              ElementsAre(HasSubstr("result 1 is null"), HasSubstr("expected 1 results, found 2"),
                          HasSubstr("uses (null)"), HasSubstr("output (null)")));
}

TEST(Verify, Constants) {
  auto f = small_function();
  Value* c = f->add_constant("c", zeros({DType::F16, {4}}));
  f->ops[0]->operands[1].values[0] = c;
  ASSERT_OK(verify(*f));
  c->type.shape = {1};
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("%c is declared fp16[1] but its weight is")));
  c->weight = nullptr;
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("%c: the constant has no contents")));
}

TEST(Verify, OperationsOutsideTheTable) {
  auto f = small_function();
  f->ops[1]->type = "no_such_op";
  EXPECT_THAT(findings(*f), ElementsAre(HasSubstr("operation 'no_such_op' is not supported")));
  EXPECT_THAT(findings(*f, true), ElementsAre());
}

TEST(Verify, FunctionNamesOfAProgramAreUnique) {
  Program program;
  program.functions.push_back(small_function());
  ASSERT_OK(verify(program));
  program.functions.push_back(small_function());
  const Status status = verify(program);
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().items, ElementsAre("two functions are named @f"));
}

}  // namespace
}  // namespace diptych::mil
