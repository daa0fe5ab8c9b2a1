// What deletions and compaction free is given back, without a call.
#include <gtest/gtest.h>

#include <future>

#include "base/strings.h"
#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

constexpr int kKeys = 60;
constexpr size_t kValueBytes = 100'000;

int64_t Size(TestMachine& machine) { return machine->sizes(base::Duration::zero()).db_bytes; }

TEST(SpaceTest, FewDeletionsOfLargeValuesAreGivenBackToo) {
  TempDir dir;
  TestMachine machine(dir / "store");
  uint64_t random = 1;  // values that do not compress
  for (int i = 0; i < kKeys; ++i) {
    std::string value;
    while (value.size() < kValueBytes) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      value.append(reinterpret_cast<const char*>(&random), sizeof random);
    }
    machine.Run(PutCommand(base::StrCat("k", i), value));
  }
  const int64_t full = Size(machine);
  ASSERT_GT(full, static_cast<int64_t>(kKeys * kValueBytes));
  const ApplyResult deleted = machine.Run(DeleteCommand("k", "l"));
  machine.Run(CompactCommand(deleted.revision));
  std::promise<absl::Status> done;
  machine->WhenPhysicallyCompacted(deleted.revision,
                                   [&](absl::Status status) { done.set_value(status); });
  EXPECT_TRUE(done.get_future().get().ok());
  EXPECT_LT(Size(machine), full / 10);
}

}  // namespace
}  // namespace keel::kvstore
