// A FileSystem in memory, for tests and benchmarks that leave the disk out: syncs
// do nothing. One thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"

namespace keel::base {

class MemoryFiles final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    auto& data = files_[path];
    const bool must_exist = mode == Mode::kRead || mode == Mode::kReadWrite;
    if (data == nullptr && must_exist) {
      files_.erase(path);
      return absl::NotFoundError(path);
    }
    if (data == nullptr) data = std::make_shared<std::string>();
    if (mode == Mode::kCreateEmpty) data->clear();
    return std::unique_ptr<File>(new OpenFile(path, data));
  }
  absl::Status CreateDirs(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    std::vector<std::string> names;
    for (const auto& [path, data] : files_) {
      if (path.starts_with(dir + "/")) names.push_back(path.substr(dir.size() + 1));
    }
    return names;
  }
  bool Exists(const std::string& path) override { return files_.contains(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    files_[to] = files_[from];
    files_.erase(from);
    return absl::OkStatus();
  }
  absl::Status Remove(const std::string& path) override {
    files_.erase(path);
    return absl::OkStatus();
  }
  absl::Status RemoveAll(const std::string& path) override {
    std::erase_if(files_, [&](const auto& file) { return file.first.starts_with(path); });
    return absl::OkStatus();
  }
  absl::Status SyncDir(const std::string&) override { return absl::OkStatus(); }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string&) override {
    return std::make_unique<FileLock>();
  }
  absl::StatusOr<Space> GetSpace(const std::string&) override {
    return Space{1ull << 40, 1ull << 40};
  }

 private:
  class OpenFile final : public File {
   public:
    OpenFile(std::string path, std::shared_ptr<std::string> data)
        : path_(std::move(path)), data_(std::move(data)) {}
    absl::Status Write(uint64_t offset, std::string_view bytes) override {
      if (data_->size() < offset + bytes.size()) data_->resize(offset + bytes.size());
      std::memcpy(data_->data() + offset, bytes.data(), bytes.size());
      return absl::OkStatus();
    }
    absl::Status WriteV(uint64_t offset, std::span<const std::string_view> parts) override {
      for (const std::string_view part : parts) {
        (void)Write(offset, part);
        offset += part.size();
      }
      return absl::OkStatus();
    }
    absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
      if (offset >= data_->size()) return std::string();
      return data_->substr(offset, size);
    }
    absl::Status Sync() override { return absl::OkStatus(); }
    absl::Status Truncate(uint64_t size) override {
      data_->resize(size);
      return absl::OkStatus();
    }
    absl::StatusOr<uint64_t> Size() const override { return data_->size(); }
    const std::string& path() const override { return path_; }

   private:
    const std::string path_;
    const std::shared_ptr<std::string> data_;
  };

  std::map<std::string, std::shared_ptr<std::string>> files_;
};

}  // namespace keel::base
