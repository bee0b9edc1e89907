#include "serve/session_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "generate/tiny_model.h"
#include "testing/shared_data.h"

namespace diptych::serve {
namespace {

constexpr Digest kModel = {1, 2};

class SessionFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    using contract::method_of, contract::Role;
    auto program = generate::tiny_program({method_of(Role::Decode, 1), method_of(Role::Prefill, 4)},
                                          generate::kTinyContext - 1);
    ASSERT_OK(program);
    first_ = generate::Session::create(*program).value();
    second_ = generate::Session::create(*program).value();
    path_ = testing::temporary_directory() + "/a.session";
    ASSERT_OK(first_->evaluate(std::vector<int64_t>{3, 1, 4, 1, 5}));
    ASSERT_OK(save_session(path_, *first_, kModel));
  }
  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::unique_ptr<generate::Session> first_, second_;
  std::string path_;
};

TEST_F(SessionFiles, GoOnWhereTheyWere) {
  ASSERT_OK(restore_session(path_, *second_, kModel));
  EXPECT_TRUE(std::ranges::equal(first_->tokens(), second_->tokens()));
  const std::vector<int64_t> next = {9};
  EXPECT_TRUE(std::ranges::equal(first_->evaluate(next).value(), second_->evaluate(next).value()));
}

TEST_F(SessionFiles, AreOfOneModel) {
  const Status status = restore_session(path_, *second_, {1, 3});
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().to_string(), ::testing::HasSubstr("of another model"));
}

// Whatever byte is changed and wherever the file is cut, it is refused and the session is empty.
TEST_F(SessionFiles, DamageIsRefused) {
  const std::string whole = bytes();
  for (size_t i = 0; i < whole.size(); i += 3) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x41);
    for (const std::string& text :
         {changed, whole.substr(0, i), whole + changed.substr(0, i + 1)}) {
      std::ofstream(path_, std::ios::binary) << text;
      EXPECT_FALSE(restore_session(path_, *second_, kModel)) << i;
      EXPECT_EQ(second_->position(), 0);
    }
  }
  EXPECT_FALSE(restore_session(path_ + ".none", *second_, kModel));
}

}  // namespace
}  // namespace diptych::serve
