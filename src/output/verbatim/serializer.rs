//! The form of serde's data in JSON: what stands where.

use serde::ser::{self, Impossible, Serialize, Serializer};

use super::{Compared, Differs, Rest};

/// An array or an object, of which that much has been compared.
pub(super) struct Inside<'r, 'a> {
    rest: &'r mut Rest<'a>,
    is_first: bool,
    close: &'static [u8],
}

impl<'r, 'a> Inside<'r, 'a> {
    fn begin(rest: &'r mut Rest<'a>, open: &[u8], close: &'static [u8]) -> Result<Self, Differs> {
        rest.pass(open)?;
        Ok(Self { rest, is_first: true, close })
    }

    fn next(&mut self) -> Compared {
        if std::mem::replace(&mut self.is_first, false) { Ok(()) } else { self.rest.pass(b",") }
    }
}

impl ser::SerializeSeq for Inside<'_, '_> {
    type Ok = ();
    type Error = Differs;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Compared {
        self.next()?;
        value.serialize(&mut *self.rest)
    }

    fn end(self) -> Compared {
        self.rest.pass(self.close)
    }
}

impl ser::SerializeMap for Inside<'_, '_> {
    type Ok = ();
    type Error = Differs;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Compared {
        self.next()?;
        // A key that is no string is written as one.
        if !self.rest.0.starts_with(b"\"") {
            return Err(Differs);
        }
        key.serialize(&mut *self.rest)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Compared {
        self.rest.pass(b":")?;
        value.serialize(&mut *self.rest)
    }

    fn end(self) -> Compared {
        self.rest.pass(self.close)
    }
}

impl ser::SerializeStruct for Inside<'_, '_> {
    type Ok = ();
    type Error = Differs;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Compared {
        ser::SerializeMap::serialize_entry(self, key, value)
    }

    fn end(self) -> Compared {
        self.rest.pass(self.close)
    }
}

impl<'r, 'a> Serializer for &'r mut Rest<'a> {
    type Ok = ();
    type Error = Differs;
    type SerializeSeq = Inside<'r, 'a>;
    type SerializeMap = Inside<'r, 'a>;
    type SerializeStruct = Inside<'r, 'a>;
    // There are none in what is compared.
    type SerializeTuple = Impossible<(), Differs>;
    type SerializeTupleStruct = Impossible<(), Differs>;
    type SerializeTupleVariant = Impossible<(), Differs>;
    type SerializeStructVariant = Impossible<(), Differs>;

    fn serialize_bool(self, v: bool) -> Compared {
        self.pass(if v { b"true" } else { b"false" })
    }

    fn serialize_i8(self, v: i8) -> Compared {
        self.number(v)
    }

    fn serialize_i16(self, v: i16) -> Compared {
        self.number(v)
    }

    fn serialize_i32(self, v: i32) -> Compared {
        self.number(v)
    }

    fn serialize_i64(self, v: i64) -> Compared {
        self.number(v)
    }

    fn serialize_u8(self, v: u8) -> Compared {
        self.number(v)
    }

    fn serialize_u16(self, v: u16) -> Compared {
        self.number(v)
    }

    fn serialize_u32(self, v: u32) -> Compared {
        self.number(v)
    }

    fn serialize_u64(self, v: u64) -> Compared {
        self.number(v)
    }

    fn serialize_f32(self, v: f32) -> Compared {
        self.number(v)
    }

    fn serialize_f64(self, v: f64) -> Compared {
        self.number(v)
    }

    fn serialize_char(self, v: char) -> Compared {
        self.string(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Compared {
        self.string(v)
    }

    fn serialize_bytes(self, _: &[u8]) -> Compared {
        Err(Differs)
    }

    fn serialize_none(self) -> Compared {
        self.pass(b"null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Compared {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Compared {
        self.pass(b"null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Compared {
        self.pass(b"null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Compared {
        self.string(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Compared {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Compared {
        Err(Differs)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Inside<'r, 'a>, Differs> {
        Inside::begin(self, b"[", b"]")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Inside<'r, 'a>, Differs> {
        Inside::begin(self, b"{", b"}")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Inside<'r, 'a>, Differs> {
        Inside::begin(self, b"{", b"}")
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Differs> {
        Err(Differs)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Differs> {
        Err(Differs)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Differs> {
        Err(Differs)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Differs> {
        Err(Differs)
    }
}
