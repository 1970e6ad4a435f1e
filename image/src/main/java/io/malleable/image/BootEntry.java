package io.malleable.image;

import java.util.List;

/**
 * What a loader starts.
 *
 * @param title for people; empty when there is no menu
 * @param kernel path on its file system; may still hold variables that nobody could resolve
 * @param device by what the loader finds that file system, as {@code UUID=...}, {@code LABEL=...}
 *     or {@code FILE=...}; empty for the one that the menu is on
 */
record BootEntry(
    String title, String kernel, List<String> initrds, String commandLine, String device) {
  BootEntry {
    initrds = List.copyOf(initrds);
  }

  /** The words of the command line. */
  List<String> arguments() {
    return ShellWords.split(commandLine);
  }

  /** Value of the last {@code name=value} on the command line; empty when there is none. */
  String argument(String name) {
    String found = "";
    for (String word : arguments()) {
      if (word.startsWith(name + "=")) {
        found = word.substring(name.length() + 1);
      }
    }
    return found;
  }
}
