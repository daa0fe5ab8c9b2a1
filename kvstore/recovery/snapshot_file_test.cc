#include "kvstore/recovery/snapshot_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/strings.h"
#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

// A snapshot file of a store with keys, history and a lease.
class SnapshotFile : public testing::Test {
 protected:
  void SetUp() override {
    TestMachine machine(dir_ / "store");
    machine.Run(GrantCommand(5, 60));
    for (int i = 0; i < 100; ++i) {
      machine.Run(
          PutCommand(base::StrCat("k", i % 40), std::string(1000, 'a' + i % 26), i % 2 * 5));
    }
    machine.Run(DeleteCommand("k0"));
    hash_ = machine.HashKv();
    ASSERT_TRUE(machine->ExportCheckpoint(dir_ / "checkpoint").ok());
    const auto header = DescribeCheckpoint(fs_, dir_ / "checkpoint");
    ASSERT_TRUE(header.ok()) << header.status();
    header_ = *header;
    header_.cluster_id = 0xc1;
    header_.member_id = 0xa1;
    SnapshotProducer producer(fs_, dir_ / "checkpoint", header_);
    while (true) {
      const auto bytes = producer.Read(1000);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      if (bytes->empty()) break;
      bytes_ += *bytes;
    }
    EXPECT_EQ(producer.sent_bytes(), producer.total_bytes());
    bytes_ += producer.Hash();
  }

  std::string Write(const std::string& bytes) {
    const std::string path = dir_ / "file";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  absl::Status Verify(const std::string& bytes, SnapshotHash hash = SnapshotHash::kRequired) {
    return VerifySnapshot(fs_, Write(bytes), hash).status();
  }

  base::FileSystem& fs_ = base::PosixFileSystem();
  TempDir dir_;
  uint32_t hash_ = 0;
  SnapshotHeader header_;
  std::string bytes_;
};

TEST_F(SnapshotFile, SaysWhatTheStoreHolds) {
  EXPECT_EQ(header_.revision, 102);
  EXPECT_EQ(header_.compact_revision, -1);
  EXPECT_EQ(header_.summary.keys, 39u);
  EXPECT_EQ(header_.index, 102u);
  EXPECT_EQ(header_.summary.hash_kv, hash_);
  EXPECT_EQ(bytes_.size() % kSnapshotAlign, kSnapshotHashBytes);  // etcdctl asks for that
  const auto header = VerifySnapshot(fs_, Write(bytes_), SnapshotHash::kRequired);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(*header, header_);
}

TEST_F(SnapshotFile, AnyByteAlteredIsNoticed) {
  for (size_t at = 0; at < bytes_.size(); at += bytes_.size() / 97 + 1) {
    std::string altered = bytes_;
    altered[at] = static_cast<char>(altered[at] ^ 0x10);
    EXPECT_FALSE(Verify(altered).ok()) << at;
  }
  std::string altered = bytes_;
  altered[altered.size() - 1] ^= 1;
  EXPECT_EQ(Verify(altered).code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(Verify(altered).ToString().find("integrity hash does not match"), std::string::npos);
}

TEST_F(SnapshotFile, AnyLengthButItsOwnIsNoticed) {
  for (size_t size = 0; size < bytes_.size(); size += bytes_.size() / 61 + 1) {
    EXPECT_FALSE(Verify(bytes_.substr(0, size)).ok()) << size;
  }
  for (const size_t less : {1, 31, 32}) {
    EXPECT_EQ(Verify(bytes_.substr(0, bytes_.size() - less)).code(), absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(Verify(bytes_ + "x").ok());
}

TEST_F(SnapshotFile, WithoutItsHashItIsTakenWhenAskedFor) {
  const std::string bare = bytes_.substr(0, bytes_.size() - kSnapshotHashBytes);
  EXPECT_TRUE(Verify(bare, SnapshotHash::kSkipped).ok());
  std::string altered = bare;
  altered[bare.size() / 2] ^= 1;
  EXPECT_EQ(Verify(altered, SnapshotHash::kSkipped).code(), absl::StatusCode::kDataLoss);
}

TEST_F(SnapshotFile, OtherVersionsAndOtherFilesAreRefused) {
  std::string newer = bytes_;
  newer[11] = 3;
  const absl::Status status = Verify(newer);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.ToString().find("version 3; this program reads versions 1 to 2"),
            std::string::npos);
  EXPECT_EQ(Verify("not a snapshot at all").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Verify("").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(VerifySnapshot(fs_, dir_ / "none", SnapshotHash::kRequired).status().code(),
            absl::StatusCode::kNotFound);
}

// Snapshots that were taken before version 2.
TEST_F(SnapshotFile, VersionOneIsRead) {
  header_.version = 1;
  SnapshotProducer producer(fs_, dir_ / "checkpoint", header_);
  std::string bytes = *producer.Read(64 << 20);
  bytes += producer.Hash();
  const auto header = VerifySnapshot(fs_, Write(bytes), SnapshotHash::kRequired);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(*header, header_);
  EXPECT_EQ(header->summary.hash_kv, hash_);
}

TEST_F(SnapshotFile, BeginsBeforeTheStoreIsRead) {
  const auto checkpoint = Checkpoint::Open(fs_, dir_ / "checkpoint");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  int asked = 0;
  SnapshotHeader header = (*checkpoint)->header();
  header.cluster_id = 0xc1;
  header.member_id = 0xa1;
  SnapshotProducer producer(fs_, dir_ / "checkpoint", header, [&] {
    ++asked;
    return (*checkpoint)->Summarize(std::atomic<bool>(false));
  });
  std::string bytes;
  const uint64_t behind = producer.total_bytes() - kSnapshotAlign - 16;
  while (bytes.size() < behind)
    bytes += *producer.Read(std::min<size_t>(1000, behind - bytes.size()));
  EXPECT_EQ(asked, 0);
  bytes += *producer.Read(1 << 20);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(bytes + producer.Hash(), bytes_);
  const std::atomic<bool> cancel = true;
  EXPECT_EQ((*checkpoint)->Summarize(cancel).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(SnapshotFile, NamesThatLeadElsewhereAreRefused) {
  for (const char* name : {"../x", "/etc/x", ".", "a/b", ""}) {
    SnapshotHeader header = header_;
    header.files = {{name, 0}};
    EXPECT_FALSE(DecodeSnapshotHeader(EncodeSnapshotHeader(header)).ok()) << name;
  }
}

TEST_F(SnapshotFile, ComesOutAsItWentIn) {
  const std::string path = Write(bytes_);
  std::filesystem::create_directory(dir_ / "out");
  ASSERT_TRUE(ExtractSnapshot(fs_, path, header_, dir_ / "out", [](uint64_t, uint64_t) {}).ok());
  const auto again = DescribeCheckpoint(fs_, dir_ / "out");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->summary.hash_kv, hash_);
  EXPECT_EQ(again->files, header_.files);
}

// The worked example of docs/formats/snapshot.md.
TEST(SnapshotHeaderExample, IsAsDocumented) {
  SnapshotHeader header;
  header.cluster_id = 0xc1;
  header.member_id = 0xa1;
  header.index = 5;
  header.term = 2;
  header.revision = 3;
  header.summary = {1, 0x01020304};
  header.files = {{"CURRENT", 16}};
  const std::string bytes = EncodeSnapshotHeader(header);
  const std::string expected(
      "KEELSNAP\0\0\0\2\0\0\0\x67"
      "\0\0\0\0\0\0\0\xc1\0\0\0\0\0\0\0\xa1"
      "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\2"
      "\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\0"
      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
      "\0\0\0\0\0\0\0\x10\0\0\0\7CURRENT",
      99);
  EXPECT_EQ(bytes.substr(0, 99), expected);
  EXPECT_EQ(bytes.size(), 103u);
  EXPECT_EQ(SnapshotBytes(header), 512u);
  SnapshotHeader bare = header;
  bare.summary = {};  // it stands elsewhere
  EXPECT_EQ(*DecodeSnapshotHeader(bytes), bare);

  // As version 1 has it.
  header.version = 1;
  std::string old = expected;
  old[11] = 1;
  old.replace(64, 12, std::string("\0\0\0\0\0\0\0\1\1\2\3\4", 12));
  EXPECT_EQ(EncodeSnapshotHeader(header).substr(0, 99), old);
  EXPECT_EQ(*DecodeSnapshotHeader(EncodeSnapshotHeader(header)), header);
}

}  // namespace
}  // namespace keel::kvstore
