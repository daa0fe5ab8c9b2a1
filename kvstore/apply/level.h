// Which commands may be in the log while members of different releases make up
// a cluster (a rolling upgrade).
//
// A member that does not know a command would skip what the others apply, and
// its state would differ from theirs for ever. So every kind of command has a
// level, the number of the release that brought it, and the cluster has one, in
// the replicated state: a command above it is refused by everybody alike. The
// leader raises the cluster's level once every member has said that it knows
// that level (server/level_keeper.h); it never sinks. A program that is below
// the level of its data does not start.
//
// To add a kind of command: count kOwnLevel up and give the kind that level
// below.
#pragma once

#include <cstdint>

namespace keel::kvstore {

// The newest level that this program knows.
inline constexpr uint32_t kOwnLevel = 0;

// From which level on a kind of command (the number of its field in Command) may be used.
constexpr uint32_t LevelOfCommand(int field) {
  return 0;  // those of the first release
}

struct Levels {
  uint32_t own = kOwnLevel;
  uint32_t (*of)(int field) = &LevelOfCommand;
};

// A program of level `own` of a history in which compaction came with level 1. For tests, so that
// there are an older and a newer program in one.
inline Levels LevelsForTests(uint32_t own) {
  constexpr int kCompaction = 8;  // Command.compaction
  return {own, [](int field) { return field == kCompaction ? 1U : LevelOfCommand(field); }};
}

}  // namespace keel::kvstore
