#include "engine/numerics.h"

#include <gtest/gtest.h>

namespace diptych::engine {
namespace {

TEST(Overflows, AddUpAndTheFirstStaysTheFirst) {
  Overflows total;
  total += {};
  EXPECT_EQ(total.count, 0u);
  EXPECT_EQ(total.first_op, "");
  total += {2, "mul 'a'", "layers_1_w"};
  total += {};
  total += {3, "add 'b'", "layers_2_w"};
  EXPECT_EQ(total.count, 5u);
  EXPECT_EQ(total.first_op, "mul 'a'");
  EXPECT_EQ(total.near_weight, "layers_1_w");
}

}  // namespace
}  // namespace diptych::engine
