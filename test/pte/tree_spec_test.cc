#include "pte/tree_spec.h"

#include <gtest/gtest.h>

namespace diptych::pte {
namespace {

TEST(TreeSpecTest, WritesAsPython) {
  EXPECT_EQ(to_json(TreeSpec::leaf()),
            R"([1, {"type": null, "context": null, "children_spec": []}])");
  EXPECT_EQ(to_json(TreeSpec::list({TreeSpec::leaf(), TreeSpec::leaf()})),
            R"([1, {"type": "builtins.list", "context": "null", "children_spec": [)"
            R"({"type": null, "context": null, "children_spec": []}, )"
            R"({"type": null, "context": null, "children_spec": []}]}])");
  EXPECT_EQ(to_json(TreeSpec::dict({{"l0,h0", TreeSpec::leaf()}, {127, TreeSpec::tuple({})}})),
            R"([1, {"type": "builtins.dict", "context": "[\"l0,h0\", 127]", "children_spec": [)"
            R"({"type": null, "context": null, "children_spec": []}, )"
            R"({"type": "builtins.tuple", "context": "null", "children_spec": []}]}])");
}

TEST(TreeSpecTest, EscapesKeysTwice) {
  EXPECT_EQ(to_json(TreeSpec::dict({{"a\"ö", TreeSpec::leaf()}})),
            R"([1, {"type": "builtins.dict", "context": "[\"a\\\"\\u00f6\"]", )"
            R"("children_spec": [{"type": null, "context": null, "children_spec": []}]}])");
}

}  // namespace
}  // namespace diptych::pte
