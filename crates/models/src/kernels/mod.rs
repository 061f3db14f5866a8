//! The numeric inner loops, once for AVX-512, AVX2 and any other machine.
//!
//! The one idea: every loop is written once over a vector of sixteen `f32` (`lanes::Lanes`) or as
//! integer arithmetic, with a fixed order of operations and fused multiply-add throughout. So the
//! three instruction sets give the *same bits*, and a model does not depend on the machine that
//! trained it. [`Isa::detect`] picks the fastest; tests run each one and compare.
//!
//! Only this module holds unsafe code.
#![allow(unsafe_code)]

pub(crate) mod dense;
pub(crate) mod descent;
pub(crate) mod gram;
mod lanes;
pub(crate) mod layers;
pub(crate) mod long_systems;

pub(crate) mod prefetch;
pub(crate) mod product;
pub(crate) mod rows;
pub(crate) mod scan;
pub(crate) mod short_systems;
pub(crate) mod softmax;
pub(crate) mod spectrum;
pub(crate) mod systems;
pub(crate) mod table;
mod transpose;

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW and VNNI.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// What Rust compiles for the target without being told.
    Portable,
}

impl Isa {
    /// Every instruction set this machine can run, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                all.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }

    /// The fastest instruction set of this machine; asked of the processor once.
    #[must_use]
    pub fn detect() -> Self {
        static FASTEST: std::sync::OnceLock<Isa> = std::sync::OnceLock::new();
        *FASTEST.get_or_init(|| Self::available()[0])
    }
}

/// Defines a function that runs `$body::<L>` compiled for the instruction set given first.
macro_rules! dispatch {
    ($(#[$meta:meta])* $name:ident => $body:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)?) => {
        $(#[$meta])*
        pub(crate) fn $name(isa: $crate::kernels::Isa, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
                fn avx512($($arg: $type),*) $(-> $out)? {
                    $body::<$crate::kernels::lanes::Avx512>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) $(-> $out)? {
                    $body::<$crate::kernels::lanes::Avx2>($($arg),*)
                }
                match isa {
                    // SAFETY: these values come from `Isa::available`, which asked the processor.
                    $crate::kernels::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::kernels::Isa::Portable => {}
                }
            }
            let _ = isa;
            $body::<$crate::kernels::lanes::Portable>($($arg),*)
        }
    };
}
pub(crate) use dispatch;
