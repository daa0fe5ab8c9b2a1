#include "kvstore/auth/password.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"

namespace keel::kvstore {

namespace {

constexpr size_t kPasswordMax = 72;  // bytes that bcrypt looks at
constexpr int kNice = 3;             // of the worker threads

// crypt_rn with memory of its own; empty when it fails.
std::string Crypt(const std::string& password, const std::string& setting) {
  const auto data = std::make_unique<crypt_data>();
  const char* hash = crypt_r(password.c_str(), setting.c_str(), data.get());
  // Failure tokens begin with '*', which no hash does.
  return hash == nullptr || hash[0] == '*' ? std::string() : std::string(hash);
}

// In time that does not tell where they differ.
bool Equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

absl::StatusOr<std::string> HashPassword(std::string_view password, int cost) {
  if (password.size() > kPasswordMax) {
    return absl::UnknownError("bcrypt: password length exceeds 72 bytes");
  }
  if (password.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("etcdserver: a password cannot hold a zero byte");
  }
  char random[16];
  KEEL_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(random), sizeof random) == 1);
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  cost = std::clamp(cost, kBcryptCostMin, kBcryptCostMax);
  KEEL_CHECK(crypt_gensalt_rn("$2b$", static_cast<unsigned long>(cost), random, sizeof random,
                              setting, sizeof setting) != nullptr);
  std::string hash = Crypt(std::string(password), setting);
  if (hash.empty()) return absl::InternalError("libcrypt makes no bcrypt hash");
  return hash;
}

bool PasswordMatches(const std::string& hash, std::string_view password) {
  if (!hash.starts_with("$2") || password.size() > kPasswordMax ||
      password.find('\0') != std::string_view::npos) {
    return false;
  }
  const std::string computed = Crypt(std::string(password), hash);
  return !computed.empty() && Equal(computed, hash);
}

void PasswordWorkers::Stop() {
  std::vector<std::thread> threads;
  std::deque<base::Task> dropped;
  {
    base::MutexLock lock(&mutex_);
    stopping_ = true;
    threads.swap(threads_);
    dropped.swap(tasks_);
    changed_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

bool PasswordWorkers::Post(base::Task task) {
  base::MutexLock lock(&mutex_);
  if (stopping_ || tasks_.size() >= options_.queued_max) return false;
  while (threads_.size() < options_.threads) threads_.emplace_back([this] { Run(); });
  tasks_.push_back(std::move(task));
  changed_.NotifyAll();
  return true;
}

void PasswordWorkers::Run() {
  // Of this thread alone, as Linux has it.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  while (true) {
    base::Task task;
    {
      base::MutexLock lock(&mutex_);
      while (!stopping_ && tasks_.empty()) changed_.Wait(&mutex_);
      if (stopping_) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

KnownPasswords::KnownPasswords() : key_(32, '\0') {
  KEEL_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(key_.data()),
                        static_cast<int>(key_.size())) == 1);
}

std::string KnownPasswords::Mac(std::string_view hash, std::string_view password) const {
  // bcrypt's hashes are of one length: where it ends and the password begins is plain.
  std::string text(hash);
  text.append(password);
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  KEEL_CHECK(HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                  reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                  reinterpret_cast<unsigned char*>(mac.data()), &size) != nullptr);
  mac.resize(size);
  return mac;
}

bool KnownPasswords::Contains(std::string_view hash, std::string_view password) const {
  const std::string mac = Mac(hash, password);
  base::MutexLock lock(&mutex_);
  return macs_.contains(mac);
}

void KnownPasswords::Add(std::string_view hash, std::string_view password) {
  std::string mac = Mac(hash, password);
  base::MutexLock lock(&mutex_);
  if (macs_.size() >= kMax) macs_.clear();
  macs_.insert(std::move(mac));
}

}  // namespace keel::kvstore
