// A disk that fills up and gets room again. Needs a file system of its own:
// skipped where none can be mounted.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

class SmallDisk {
 public:
  explicit SmallDisk(const char* size) {
    std::filesystem::create_directories(path());
    mounted_ = ::mount("tmpfs", path().c_str(), "tmpfs", 0, size) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::string path() const { return dir_ / "disk"; }

 private:
  TempDir dir_;
  bool mounted_ = false;
};

TEST(FullDiskTest, IsReportedAndGoneOnceThereIsRoom) {
  SmallDisk disk("size=64m");
  if (!disk.mounted()) GTEST_SKIP() << "no permission to mount a tmpfs";
  TestMachine machine(disk.path() + "/store");
  machine.Run(PutCommand("first", "1"));
  const std::string filler = disk.path() + "/filler";
  {  // someone else fills the disk
    std::ofstream stream(filler);
    const std::string chunk(1 << 20, 'f');
    while (stream << chunk << std::flush) {
    }
  }
  // The room comes back only when the store has said that there is none: a
  // write may wait for it before this thread could look.
  std::atomic<bool> reported = false;
  std::thread janitor([&] {
    while (machine->background_status().ok()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    reported = absl::IsResourceExhausted(machine->background_status());
    EXPECT_EQ(machine.Get("first"), "1");  // reads go on
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    std::filesystem::remove(filler);
  });
  int puts = 0;
  while (!reported || puts < 100) {
    machine.Run(PutCommand("k" + std::to_string(puts++), std::string(100'000, 'x')));
    if (puts > 40) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ASSERT_LT(puts, 2000) << "the disk never filled";
  }
  janitor.join();
  EXPECT_TRUE(machine->background_status().ok()) << machine->background_status();
  machine->Flush();
  for (int i = 0; i < puts; ++i) EXPECT_EQ(machine.Get("k" + std::to_string(i)).size(), 100'000u);
}

}  // namespace
}  // namespace keel::kvstore
