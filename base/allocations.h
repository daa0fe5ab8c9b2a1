// Counts what a program allocates: linking keel_base_allocations replaces operator new of the
// whole program. For tests and benchmarks.
//
//   const uint64_t before = base::Allocations();
//   ...
//   EXPECT_EQ(base::Allocations() - before, 0u);
//
// Thread-safety: any thread; counts those of all.
#pragma once

#include <cstdint>

namespace keel::base {

// Calls of operator new since the program began.
uint64_t Allocations();

}  // namespace keel::base
