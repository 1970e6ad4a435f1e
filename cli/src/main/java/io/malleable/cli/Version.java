package io.malleable.cli;

/** The version that the build wrote into the jar. */
final class Version {

  private Version() {}

  static String text() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "unpacked classes" : version;
  }
}
