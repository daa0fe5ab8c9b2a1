// Runs every script and compares what it prints with what it says.
// KEEL_REWRITE=1 writes what they print now into the scripts instead.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/interaction/runner.h"

namespace keel::raft::testing {
namespace {

std::vector<std::string> Scripts() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator("scripts")) {
    if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Where two texts part, with a few lines before.
std::string FirstDifference(const std::string& a, const std::string& b) {
  std::istringstream left(a);
  std::istringstream right(b);
  std::string x, y, before;
  for (int number = 1;; ++number) {
    const bool more_left = static_cast<bool>(std::getline(left, x));
    const bool more_right = static_cast<bool>(std::getline(right, y));
    if (!more_left && !more_right) return "";
    if (x != y || more_left != more_right) {
      return "line " + std::to_string(number) + "\n  script: " + (more_left ? x : "(end)") +
             "\n  now:    " + (more_right ? y : "(end)") + "\n  after:  " + before;
    }
    before = x;
  }
}

TEST(InteractionTest, ScriptsPrintWhatTheySay) {
  const std::vector<std::string> names = Scripts();
  ASSERT_GE(names.size(), 60) << "scripts are missing from "
                              << std::filesystem::current_path() / "scripts";
  const bool rewrite = std::getenv("KEEL_REWRITE") != nullptr;
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const std::string path = "scripts/" + name + ".txt";
    const std::string script = Read(path);
    const std::string now = RunScript(script);
    if (rewrite) {
      std::ofstream(path) << now;
    } else {
      EXPECT_EQ(FirstDifference(script, now), "");
    }
  }
}

}  // namespace
}  // namespace keel::raft::testing
