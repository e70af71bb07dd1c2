//! The processors an image is compiled for.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::ImageError;

const PRESETS: &str = include_str!("../../../../manifests/cpu-targets.toml");

/// A value for Julia's `--cpu-target` that other machines than this one can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuTarget(String);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    portable: String,
}

impl CpuTarget {
    /// The target asked for, or the portable one of this architecture.
    pub fn choose(requested: Option<&str>) -> Result<Self, ImageError> {
        let Some(target) = requested else {
            return presets()
                .remove(std::env::consts::ARCH)
                .map(|preset| Self(preset.portable))
                .ok_or(ImageError::NoPreset { architecture: std::env::consts::ARCH });
        };
        let invalid = || ImageError::Target { target: target.to_owned() };
        for variant in target.split(';') {
            let name = variant.split(',').next().unwrap_or_default();
            if name == "native" {
                return Err(ImageError::NativeTarget { target: target.to_owned() });
            }
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+,()".contains(c);
            if name.is_empty() || !variant.chars().all(plain) {
                return Err(invalid());
            }
        }
        Ok(Self(target.to_owned()))
    }
}

impl CpuTarget {
    /// For how many kinds of processors code is made.
    pub(super) fn variants(&self) -> usize {
        self.0.split(';').count()
    }

    /// The first variant, which every machine that can load the image has.
    pub(super) fn base(&self) -> &str {
        self.0.split(';').next().unwrap_or_default()
    }

    /// That variant alone.
    pub(super) fn first(&self) -> Self {
        Self(self.base().to_owned())
    }
}

impl fmt::Display for CpuTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

fn presets() -> BTreeMap<String, Preset> {
    toml::from_str(PRESETS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_every_preset_is_a_target() {
        let presets: BTreeMap<String, Preset> = toml::from_str(PRESETS).unwrap();
        assert!(presets.contains_key("x86_64") && presets.contains_key("aarch64"));
        for preset in presets.values() {
            assert_eq!(CpuTarget::choose(Some(&preset.portable)).unwrap().to_string(), preset.portable);
            assert_eq!(CpuTarget(preset.portable.clone()).base(), "generic");
        }
    }

    #[test]
    fn err_native_and_nonsense() {
        for target in ["native", "generic;native,clone_all"] {
            let error = CpuTarget::choose(Some(target)).unwrap_err();
            assert!(matches!(error, ImageError::NativeTarget { .. }), "{error}");
        }
        for target in ["", ";", "generic;", "a b", "generic;$(id)"] {
            let error = CpuTarget::choose(Some(target)).unwrap_err();
            assert_eq!(error.to_string(), format!("not a CPU target: `{target}`"));
        }
    }
}
