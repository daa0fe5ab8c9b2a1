// Passwords: bcrypt by the system's libcrypt, and threads to run it on, for it
// takes tens of milliseconds by design.
//
//   PasswordWorkers workers({.threads = 1, .queued_max = 1000});
//   if (!workers.Post([hash, password] { ... PasswordMatches(hash, password) ... })) TooMany();
//
// The worker threads are low in priority: a storm of logins gets the time that
// nothing else wants. They start with the first task.
//
// Thread-safety: everything from any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "base/mutex.h"

namespace keel::kvstore {

constexpr int kBcryptCostMin = 4;
constexpr int kBcryptCostMax = 31;
constexpr int kBcryptCostDefault = 10;

// A new hash, "$2b$10$...". Unknown, with the text of etcd's library, for more than 72 bytes, of
// which bcrypt would not look at the rest; InvalidArgument for a password with a zero byte in it.
absl::StatusOr<std::string> HashPassword(std::string_view password, int cost);

// Whether `hash` was made from the password. Hashes of etcd ("$2a$") are understood.
bool PasswordMatches(const std::string& hash, std::string_view password);

class PasswordWorkers {
 public:
  struct Options {
    size_t threads = 1;
    size_t queued_max = 1000;  // tasks that wait for a thread
  };

  explicit PasswordWorkers(Options options) : options_(options) {}
  ~PasswordWorkers() { Stop(); }

  PasswordWorkers(const PasswordWorkers&) = delete;
  PasswordWorkers& operator=(const PasswordWorkers&) = delete;

  // False, and the task is dropped, when too many wait already.
  bool Post(base::Task task);
  // Drops what waits, and returns when no task runs any more; nothing is taken from now on.
  void Stop();

 private:
  void Run();

  const Options options_;
  base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<base::Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
};

// Remembers which passwords have been found right, so that a client that logs in again and again
// costs a microsecond. Kept is a MAC under a key of this process, over the hash and the password:
// of no use outside of it, and void with a change of password.
class KnownPasswords {
 public:
  KnownPasswords();

  bool Contains(std::string_view hash, std::string_view password) const;
  void Add(std::string_view hash, std::string_view password);

 private:
  static constexpr size_t kMax = 10'000;

  std::string Mac(std::string_view hash, std::string_view password) const;

  std::string key_;
  mutable base::Mutex mutex_;
  absl::flat_hash_set<std::string> macs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
