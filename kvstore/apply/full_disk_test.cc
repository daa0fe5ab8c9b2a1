// A disk that fills up and gets room again. Needs a file system of its own:
// skipped where none can be mounted.
#include <gtest/gtest.h>
#include <sys/mount.h>

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
  SmallDisk disk("size=24m");
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
  int puts = 0;
  auto put = [&] {
    machine.Run(PutCommand("k" + std::to_string(puts++), std::string(100'000, 'x')));
  };
  for (int i = 0; i < 200 && machine->background_status().ok(); ++i) {
    put();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(machine->background_status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(machine.Get("first"), "1");  // reads go on

  // A write waits, and is done when there is room.
  std::thread janitor([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    std::filesystem::remove(filler);
  });
  put();
  janitor.join();
  EXPECT_TRUE(machine->background_status().ok()) << machine->background_status();
  machine->Flush();
  for (int i = 0; i < puts; ++i) EXPECT_EQ(machine.Get("k" + std::to_string(i)).size(), 100'000u);
}

}  // namespace
}  // namespace keel::kvstore
