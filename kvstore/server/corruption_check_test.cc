#include "kvstore/server/corruption_check.h"

#include <gtest/gtest.h>

namespace keel::kvstore {
namespace {

using Hashes = std::map<uint64_t, absl::StatusOr<HashResult>>;

HashResult At(uint32_t hash, int64_t revision = 10, int64_t compacted = 5) {
  return {hash, revision, compacted};
}
absl::Status Silent() { return absl::UnavailableError("no answer"); }

TEST(FindCorruptTest, EqualMembersAreFine) {
  EXPECT_TRUE(FindCorrupt(Hashes{{1, At(7)}, {2, At(7)}, {3, At(7)}}, 1, 3).empty());
  EXPECT_TRUE(FindCorrupt(Hashes{{1, At(7)}}, 1, 1).empty());
}

TEST(FindCorruptTest, TheOddOneIsNamedBeItTheLeader) {
  EXPECT_EQ(FindCorrupt(Hashes{{1, At(7)}, {2, At(8)}, {3, At(7)}}, 1, 3),
            std::vector<uint64_t>{2});
  EXPECT_EQ(FindCorrupt(Hashes{{1, At(7)}, {2, At(8)}, {3, At(8)}}, 1, 3),
            std::vector<uint64_t>{1});
}

TEST(FindCorruptTest, WithoutAMajorityItIsTheCluster) {
  EXPECT_EQ(FindCorrupt(Hashes{{1, At(7)}, {2, At(8)}}, 1, 2), std::vector<uint64_t>{0});
  // Two against one of five is no majority while two are silent.
  EXPECT_EQ(
      FindCorrupt(Hashes{{1, At(7)}, {2, At(8)}, {3, At(7)}, {4, Silent()}, {5, Silent()}}, 1, 5),
      std::vector<uint64_t>{0});
}

TEST(FindCorruptTest, WhatCannotBeComparedSaysNothing) {
  EXPECT_TRUE(FindCorrupt(Hashes{{1, At(7)}, {2, At(8, 10, 6)}, {3, At(8, 9)}, {4, Silent()}}, 1, 4)
                  .empty());
  EXPECT_TRUE(FindCorrupt(Hashes{{1, Silent()}, {2, At(8)}, {3, At(7)}}, 1, 3).empty());
}

}  // namespace
}  // namespace keel::kvstore
