#include "base/mutation.h"

#include <gtest/gtest.h>

namespace keel::base {
namespace {

#ifdef KEEL_MUTATIONS

TEST(MutationTest, OnlyTheChosenOneIsActiveAndItsEffectsAreCounted) {
  ASSERT_TRUE(SetMutation("kVoteTwice"));
  EXPECT_TRUE(KEEL_MUTATION(kVoteTwice));
  EXPECT_FALSE(KEEL_MUTATION(kNoFsync));
  EXPECT_EQ(MutationHits(), 1);
  EXPECT_FALSE(SetMutation("kNoSuchMutation"));
  EXPECT_FALSE(KEEL_MUTATION(kVoteTwice));
  EXPECT_TRUE(SetMutation(""));
}

#else

// A constant expression: nothing that depends on it is left in the program.
template <bool active>
constexpr bool kConstant = active;

TEST(MutationTest, InProductionEveryMutationIsTheConstantFalse) {
#define KEEL_MUTATION_EXPECT_FALSE(name, text) static_assert(!kConstant<KEEL_MUTATION(name)>);
  KEEL_MUTATION_LIST(KEEL_MUTATION_EXPECT_FALSE)
#undef KEEL_MUTATION_EXPECT_FALSE
  EXPECT_FALSE(kMutationsBuilt);
}

#endif

}  // namespace
}  // namespace keel::base
