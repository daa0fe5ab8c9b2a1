// Where one is within an object: a chain on the stack that becomes a text only when somebody asks.
//
//   const FieldPath spec(root, "spec");
//   const FieldPath item(list, 3);
//   item.ToString();                     // "spec.containers[3]"
//
// Walks over an object make one link per step, without allocating. A link must outlive those made
// from it, and the texts that it was made of. Thread-safety: immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace keel::orchestrator {

class FieldPath {
 public:
  // A start: empty for the object itself.
  explicit FieldPath(std::string_view start) : name_(start) {}
  // A member of an object.
  FieldPath(const FieldPath& up, std::string_view name)
      : up_(&up), step_(Step::kMember), name_(name) {}
  // An item of a list.
  FieldPath(const FieldPath& up, size_t index) : up_(&up), step_(Step::kIndex), index_(index) {}
  FieldPath(const FieldPath&) = delete;
  FieldPath& operator=(const FieldPath&) = delete;

  // A value of a map, which Kubernetes writes as labels[app] rather than labels.app.
  static FieldPath Key(const FieldPath& up, std::string_view key) {
    return FieldPath(up, key, Step::kKey);
  }

  std::string ToString() const {
    std::string out;
    AppendTo(out);
    return out;
  }

 private:
  enum class Step : uint8_t { kStart, kMember, kKey, kIndex };

  FieldPath(const FieldPath& up, std::string_view name, Step step)
      : up_(&up), step_(step), name_(name) {}

  void AppendTo(std::string& out) const {
    if (up_ != nullptr) up_->AppendTo(out);
    switch (step_) {
      case Step::kStart:
        out += name_;
        break;
      case Step::kMember:
        if (!out.empty()) out += '.';
        out += name_;
        break;
      case Step::kKey:
        out += '[';
        out += name_;
        out += ']';
        break;
      case Step::kIndex:
        out += '[';
        out += std::to_string(index_);
        out += ']';
        break;
    }
  }

  const FieldPath* up_ = nullptr;
  Step step_ = Step::kStart;
  std::string_view name_{};
  size_t index_ = 0;
};

}  // namespace keel::orchestrator
